"""What forges send: samples signed with one secret, as files, and ways to make them wrong."""

from dataclasses import dataclass
from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"
SECRET = "lifestream-s3cret"
PROOFS = {
    "x-hub-signature", "x-hub-signature-256", "x-gogs-signature", "x-gitea-signature", "x-forgejo-signature",
    "x-gitlab-token", "webhook-signature", "authorization",
}  # fmt: skip
WRONGS = ("wrong", "missing", "empty")


@dataclass(frozen=True)
class Sample:
    """A request as a forge made it. `name` is the file's, with its folder."""

    name: str
    headers: dict[str, str]
    body: bytes

    @property
    def adapter(self) -> str:
        return self.name.partition("/")[0].removesuffix("-server")

    def signed(self, how: str) -> dict[str, str]:
        """The headers with a signature that is right, wrong, missing or empty."""
        if how == "right":
            return self.headers
        if how == "missing":
            return {name: value for name, value in self.headers.items() if name not in PROOFS}
        return {name: _spoilt(value, how) if name in PROOFS else value for name, value in self.headers.items()}


def sample(name: str) -> Sample:
    path = SAMPLES / name
    lines = (path.with_suffix(".headers") if path.suffix == ".json" else Path(f"{path}.headers")).read_text()
    headers = {header.lower(): value.strip() for header, _, value in (one.partition(":") for one in lines.splitlines())}
    return Sample(name, headers, path.read_bytes())


def samples() -> list[Sample]:
    paths = sorted([*SAMPLES.glob("*/*.json"), *SAMPLES.glob("*/*.form")])
    return [sample(str(path.relative_to(SAMPLES))) for path in paths]


def _spoilt(proof: str, how: str) -> str:
    method, sign, _ = proof.partition("=") if proof.startswith("sha") else ("", "", "")
    if how == "empty":
        return method + sign
    return proof[:-1] + ("0" if proof[-1] != "0" else "1")
