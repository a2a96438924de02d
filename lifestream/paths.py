"""Numbers in the paths of routes, of no more digits than a number in the database may have.

Starlette's own `int` takes any number of them, and Python refuses to read more than 4,300.
"""

from starlette.convertors import Convertor, register_url_convertor


class _Number(Convertor[int]):
    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("number", _Number())


def number(name: str) -> str:
    """What stands in a route's path for a number that is called so."""
    return f"{{{name}:number}}"
