/* fanload - a load generator for push servers (WebSocket, SSE).
 *
 * Opens N subscribers from one epoll thread, publishes messages over HTTP (or
 * only listens to what somebody else publishes), and measures how long each
 * message takes to reach the last subscriber, what that costs the server in
 * CPU and memory, and whether anything was lost, repeated or reordered.
 *
 * A message says somewhere in it "ts=NANOSECONDS n=COUNT": when it was
 * published (CLOCK_MONOTONIC), and which one it is (1, 2, 3, ...).
 *
 * Prints one JSON object on stdout; a line "ready" on stderr once everybody is
 * connected.  HTTP/1.1 and IPv4 only.      Build: cc -O2 -o fanload fanload.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

static void die(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "fanload: ");
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(2);
}

/* ------------------------------------------------------------- options */

enum { MODE_WS, MODE_SSE };

struct url {
    char host[128], path[1024];
    struct sockaddr_in addr;
};

static struct {
    int mode, n, window, slow, inflight, rcvbuf;
    double warmup, saturate, rate, pace, listen, settle, drain, reconnect;
    struct url url, pub;
    int have_pub;
    char *body;
    char *headers[16];
    int nheaders;
    char *send, *ready, *reply_from, *reply_to;
    char *resume_key, *resume_param;
    size_t pad;
    int pids[32], npids;
} o;

static u64 now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void parse_url(const char *s, struct url *u, int *mode) {
    if (!strncmp(s, "ws://", 5)) {
        s += 5;
        *mode = MODE_WS;
    } else if (!strncmp(s, "http://", 7)) {
        s += 7;
        *mode = MODE_SSE;
    } else
        die("url must start with ws:// or http://: %s", s);
    const char *slash = strchr(s, '/');
    size_t hl = slash ? (size_t)(slash - s) : strlen(s);
    if (hl >= sizeof u->host) die("host too long");
    memcpy(u->host, s, hl);
    u->host[hl] = 0;
    snprintf(u->path, sizeof u->path, "%s", slash ? slash : "/");
    char h[128];
    strcpy(h, u->host);
    char *colon = strchr(h, ':');
    int port = 80;
    if (colon) {
        *colon = 0;
        port = atoi(colon + 1);
    }
    u->addr.sin_family = AF_INET;
    u->addr.sin_port = htons(port);
    if (inet_pton(AF_INET, h, &u->addr.sin_addr) != 1) die("host must be an IPv4 address: %s", h);
}

/* ------------------------------------------------- /proc: CPU and memory */

struct usage {
    double cpu, rss_kb;
};

static int stat_line(int pid, char *buf, size_t size, char **after_name) {
    char p[64];
    snprintf(p, sizeof p, "/proc/%d/stat", pid);
    FILE *f = fopen(p, "r");
    if (!f) return 0;
    buf[fread(buf, 1, size - 1, f)] = 0;
    fclose(f);
    char *q = strrchr(buf, ')');
    if (!q) return 0;
    *after_name = q + 2;
    return 1;
}

static void one_proc(int pid, struct usage *u) {
    char p[64], buf[4096], *q;
    if (!stat_line(pid, buf, sizeof buf, &q)) return;
    unsigned long ut = 0, st = 0;
    sscanf(q, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &ut, &st);
    u->cpu += (double)(ut + st) / sysconf(_SC_CLK_TCK);
    snprintf(p, sizeof p, "/proc/%d/smaps_rollup", pid);
    FILE *f = fopen(p, "r");
    if (!f) return;
    while (fgets(buf, sizeof buf, f)) {
        double v;
        if (sscanf(buf, "Rss: %lf", &v) == 1) u->rss_kb += v;
    }
    fclose(f);
}

/* the given processes and all their descendants */
static struct usage tree_usage(void) {
    struct usage u = {0};
    int set[4096], k = 0;
    for (int i = 0; i < o.npids; i++) set[k++] = o.pids[i];
    for (int again = o.npids > 0; again;) {
        again = 0;
        DIR *d = opendir("/proc");
        struct dirent *e;
        while ((e = readdir(d))) {
            if (!isdigit((u8)e->d_name[0])) continue;
            int pid = atoi(e->d_name), ppid = 0, known = 0;
            char buf[1024], *q;
            for (int i = 0; i < k; i++) known |= set[i] == pid;
            if (known || !stat_line(pid, buf, sizeof buf, &q) || sscanf(q, "%*c %d", &ppid) != 1) continue;
            for (int i = 0; i < k && k < 4096; i++)
                if (set[i] == ppid) {
                    set[k++] = pid;
                    again = 1;
                    break;
                }
        }
        closedir(d);
    }
    for (int i = 0; i < k; i++) one_proc(set[i], &u);
    return u;
}

/* seconds that the whole machine was busy */
static double machine_busy(void) {
    double v[7] = {0};
    FILE *f = fopen("/proc/stat", "r");
    if (f && fscanf(f, "cpu %lf %lf %lf %lf %lf %lf %lf", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6) == 7) {}
    if (f) fclose(f);
    return (v[0] + v[1] + v[2] + v[5] + v[6]) / sysconf(_SC_CLK_TCK);
}

static double self_cpu(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return r.ru_utime.tv_sec + r.ru_stime.tv_sec + 1e-6 * (r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

/* -------------------------------------------------- messages in flight */

struct msg {
    u64 ts, first, last;
    u32 count, need; /* subscribers that have it, that should get it */
};
#define MAXMSG (1u << 20)
static struct msg *msgs;
static u32 nmsgs, settled; /* those before `settled` are no longer waited for */
#define HSIZE (1u << 21)
static u32 *htab; /* index+1 into msgs */

static u32 hslot(u64 ts) { return (u32)((ts * 0x9E3779B97F4A7C15ull) >> 43) & (HSIZE - 1); }

static struct msg *msg_find(u64 ts) {
    for (u32 h = hslot(ts); htab[h]; h = (h + 1) & (HSIZE - 1))
        if (msgs[htab[h] - 1].ts == ts) return &msgs[htab[h] - 1];
    return NULL;
}
static struct msg *msg_add(u64 ts, u32 need) {
    if (nmsgs == MAXMSG) die("too many messages");
    struct msg *m = &msgs[nmsgs++];
    m->ts = ts;
    m->need = need;
    u32 h = hslot(ts);
    while (htab[h]) h = (h + 1) & (HSIZE - 1);
    htab[h] = nmsgs;
    return m;
}

/* ------------------------------------------------------------ connections */

enum { C_DEAD, C_CONNECTING, C_HANDSHAKE, C_WAIT_READY, C_READY };

struct conn {
    int fd;
    u8 state, slow, chunked, chst, ever;
    u32 idx;
    u64 chleft;
    u64 last_n;
    char token[40];
    char *carry; /* what came of a message that is not complete */
    u32 clen, ccap;
};

static struct conn *conns;
static int ep;
static u32 nready, nslow_closed;
static u64 repeats, gaps, reorders, closed_by_server, hs_fail;
static u64 resumed, all_back; /* how many came back, and when the last of them did */
static u64 outstanding, pub_errors, pub_retries;
static char *G; /* shared receive buffer */
#define GCAP (4u << 20)
static char *D; /* shared buffer for decoded chunked data */

/* who is to get a message: where subscribers come back, everybody, if need be by recovery */
static u32 expected(void) { return o.reconnect > 0 ? (u32)(o.n - o.slow) : nready - (o.slow - nslow_closed); }

static int open_socket(struct url *u, int rcvbuf) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket: %s (raise ulimit -n)", strerror(errno));
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct linger lg = {1, 0}; /* close with RST: no TIME_WAIT pile-up */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &lg, sizeof lg);
    if (rcvbuf) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
    if (connect(fd, (struct sockaddr *)&u->addr, sizeof u->addr) && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

/* subscribers waiting to come back, in order of time */
static struct {
    u64 due;
    u32 idx;
} *wait_q;
static u64 wait_h, wait_t;
static int pending_hs;

static u64 wait_slot(u64 at) { return at % (2ull * o.n + 16); }

static void wait_to_come_back(struct conn *c) {
    if (o.reconnect <= 0 || c->slow || !c->ever) return;
    u64 slot = wait_slot(wait_t++);
    wait_q[slot].due = now_ns() + (u64)(o.reconnect * 1e6);
    wait_q[slot].idx = c->idx;
}

static void conn_start(struct conn *c) {
    c->fd = open_socket(&o.url, c->slow ? o.rcvbuf : 0);
    if (c->fd < 0) {
        hs_fail++;
        return wait_to_come_back(c);
    }
    pending_hs++;
    c->state = C_CONNECTING;
    c->clen = 0;
    c->chunked = c->chst = 0;
    c->chleft = 0;
    struct epoll_event ev = {.events = EPOLLOUT | EPOLLIN, .data.u64 = c->idx};
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev);
}

static void conn_lost(struct conn *c) {
    if (c->fd < 0) return;
    if (c->state < C_READY) {
        hs_fail++;
        pending_hs--;
    } else {
        nready--;
        if (c->slow) nslow_closed++;
        else closed_by_server++;
    }
    close(c->fd);
    c->fd = -1;
    c->state = C_DEAD;
    free(c->carry);
    c->carry = NULL;
    c->clen = c->ccap = 0;
    wait_to_come_back(c);
}

static void ws_send(struct conn *c, int op, const char *p, size_t n) {
    u8 b[256];
    if (n > 125) die("outgoing frame too long");
    b[0] = 0x80 | op;
    b[1] = 0x80 | n;
    memcpy(b + 2, "\x12\x34\x56\x78", 4);
    for (size_t i = 0; i < n; i++) b[6 + i] = p[i] ^ b[2 + (i & 3)];
    if (send(c->fd, b, 6 + n, MSG_NOSIGNAL) < 0) {}
}

static void send_handshake(struct conn *c) {
    char b[8192];
    int k = snprintf(b, sizeof b, "GET %s", o.url.path);
    if (c->token[0]) k += snprintf(b + k, sizeof b - k, "%c%s=%s", strchr(o.url.path, '?') ? '&' : '?', o.resume_param, c->token);
    k += snprintf(b + k, sizeof b - k, " HTTP/1.1\r\nHost: %s\r\n", o.url.host);
    if (o.mode == MODE_WS)
        k += snprintf(b + k, sizeof b - k,
                      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    else
        k += snprintf(b + k, sizeof b - k, "Accept: text/event-stream\r\n\r\n");
    if (send(c->fd, b, k, MSG_NOSIGNAL) != k) die("handshake write failed");
}

static void on_ready(struct conn *c) {
    c->state = C_READY;
    pending_hs--;
    nready++;
    if (c->ever) {
        resumed++;
        all_back = now_ns();
    }
    c->ever = 1;
    if (c->slow) { /* stop reading for good */
        struct epoll_event ev = {.events = EPOLLERR | EPOLLHUP, .data.u64 = c->idx};
        epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
    }
}

static u64 digits(const char **p, const char *end) {
    u64 v = 0;
    for (; *p < end && isdigit((u8) * *p); ++*p) v = v * 10 + (**p - '0');
    return v;
}

static void remember_position(struct conn *c, const char *p, const char *end) {
    char *r = memmem(p, end - p, o.resume_key, strlen(o.resume_key));
    if (!r) return;
    size_t k = 0;
    for (r += strlen(o.resume_key); r < end && k < sizeof c->token - 1 && isalnum((u8)*r); r++) c->token[k++] = *r;
    c->token[k] = 0;
}

/* one message body, of len bytes */
static void on_message(struct conn *c, const char *p, size_t len) {
    const char *end = p + len;
    if (o.reply_from && len == strlen(o.reply_from) && !memcmp(p, o.reply_from, len)) {
        ws_send(c, 1, o.reply_to, strlen(o.reply_to));
        return;
    }
    if (c->state == C_WAIT_READY) {
        size_t rl = strlen(o.ready);
        if (len >= rl && !memcmp(p, o.ready, rl)) on_ready(c);
        return;
    }
    if (o.resume_key) remember_position(c, p, end);
    const char *q = memmem(p, len, "ts=", 3);
    if (!q) return; /* what servers say besides */
    q += 3;
    u64 now = now_ns(), ts = digits(&q, end);
    struct msg *m = msg_find(ts);
    if (!m) {
        if (o.have_pub) return; /* not ours */
        m = msg_add(ts, expected());
        outstanding++;
    }
    q += 3; /* " n=" */
    u64 n = digits(&q, end);
    if (c->last_n && n != c->last_n + 1) {
        if (n == c->last_n) repeats++;
        else if (n < c->last_n) reorders++;
        else gaps += n - c->last_n - 1;
    }
    if (n <= c->last_n) return; /* a repeat is no delivery */
    c->last_n = n;
    if (!m->count++) m->first = now;
    m->last = now;
    if (m->count == m->need && m >= msgs + settled) outstanding--;
}

static void keep_carry(struct conn *c, const char *p, size_t n) {
    if (n > c->ccap) {
        c->ccap = n < 512 ? 512 : n * 2;
        char *b = malloc(c->ccap);
        memcpy(b, p, n);
        free(c->carry);
        c->carry = b;
    } else if (n)
        memmove(c->carry, p, n);
    c->clen = n;
}

/* consume WebSocket frames; returns bytes used, or -1 to close */
static ssize_t eat_ws(struct conn *c, char *p, size_t n) {
    size_t i = 0;
    while (n - i >= 2) {
        u8 b0 = p[i], b1 = p[i + 1];
        size_t h = 2;
        u64 len = b1 & 127;
        if (len == 126) {
            if (n - i < 4) break;
            len = (u64)(u8)p[i + 2] << 8 | (u8)p[i + 3];
            h = 4;
        } else if (len == 127) {
            if (n - i < 10) break;
            len = 0;
            for (int k = 0; k < 8; k++) len = len << 8 | (u8)p[i + 2 + k];
            h = 10;
        }
        if (b1 & 0x80) die("server sent a masked frame");
        if (len > GCAP / 2) die("frame too large");
        if (n - i < h + len) break;
        char *body = p + i + h;
        i += h + len;
        switch (b0 & 15) {
        case 0:
        case 1:
        case 2: on_message(c, body, len); break;
        case 8: return -1;
        case 9: ws_send(c, 10, body, len); break;
        }
    }
    return i;
}

/* consume SSE events (already free of chunked framing) */
static ssize_t eat_sse(struct conn *c, char *p, size_t n) {
    size_t used = 0, at = 0;
    while (at < n) {
        char *nl = memchr(p + at, '\n', n - at);
        if (!nl) break;
        at = nl - p + 1;
        if (at < n && p[at] == '\n') { /* an empty line ends the event */
            on_message(c, p + used, at - used);
            used = ++at;
        }
    }
    return used;
}

/* strip chunked framing from p[0..n) onto D at *dn; -1 at the end of the body */
static int unchunk(struct conn *c, const char *p, size_t n, size_t *dn) {
    size_t i = 0;
    while (i < n) {
        if (c->chst == 0) { /* size line */
            char ch = p[i++];
            if (isxdigit((u8)ch)) c->chleft = c->chleft * 16 + (isdigit((u8)ch) ? ch - '0' : (ch | 32) - 'a' + 10);
            else if (ch == '\n') {
                if (!c->chleft) return -1;
                c->chst = 1;
            }
        } else if (c->chst == 1) {
            size_t k = n - i < c->chleft ? n - i : c->chleft;
            memcpy(D + *dn, p + i, k);
            *dn += k;
            i += k;
            c->chleft -= k;
            if (!c->chleft) c->chst = 2;
        } else { /* CRLF after the data */
            if (p[i++] == '\n') c->chst = 0;
        }
    }
    return 0;
}

/* the answer to the handshake in p[0..n): its length, 0 if more is to come, -1 if it is no yes */
static ssize_t eat_answer(struct conn *c, char *p, size_t n) {
    char *e = memmem(p, n, "\r\n\r\n", 4);
    if (!e) {
        if (n > 32000) die("response head too long");
        return 0;
    }
    *e = 0;
    if (atoi(p + 9) != (o.mode == MODE_WS ? 101 : 200)) {
        if (!hs_fail) fprintf(stderr, "fanload: handshake answered: %.200s\n", p);
        return -1;
    }
    c->chunked = o.mode == MODE_SSE && strcasestr(p, "transfer-encoding: chunked") != NULL;
    if (o.send) ws_send(c, 1, o.send, strlen(o.send));
    if (o.ready) c->state = C_WAIT_READY;
    else on_ready(c);
    return e + 4 - p;
}

static void conn_read(struct conn *c) {
    for (;;) {
        size_t off = 0, room = 256 * 1024;
        if (c->clen && !c->chunked) memcpy(G, c->carry, off = c->clen);
        ssize_t r = recv(c->fd, G + off, room, 0);
        if (r < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (r <= 0) return conn_lost(c);
        char *p = G;
        size_t n = off + r;
        if (c->state == C_HANDSHAKE) {
            ssize_t head = eat_answer(c, p, n);
            if (head < 0) return conn_lost(c);
            if (!head) {
                keep_carry(c, p, n);
                return;
            }
            p += head;
            n -= head;
            c->clen = 0;
        }
        int end = 0;
        if (c->chunked) {
            size_t dn = c->clen;
            memcpy(D, c->carry, c->clen);
            end = unchunk(c, p, n, &dn);
            p = D;
            n = dn;
        }
        ssize_t used = o.mode == MODE_WS ? eat_ws(c, p, n) : eat_sse(c, p, n);
        if (used < 0 || end < 0) return conn_lost(c);
        keep_carry(c, p + used, n - used);
        if ((size_t)r < room) return;
    }
}

/* ---------------------------------------------------------------- publisher */

#define ID_PUB 0xFFFFFFF0u
#define ID_TIMER 0xFFFFFFF1u
#define QUEUE (1u << 16)
static struct {
    int fd, busy;
    char *req, *body;
    size_t reqlen, sent;
    char resp[65536];
    size_t rlen;
    u64 due[QUEUE]; /* due times waiting for the connection */
    u32 qh, qt;
    u64 n;
} P = {.fd = -1};
static char *pad;

static void pub_connect(void) {
    P.sent = 0;
    P.rlen = 0;
    P.fd = open_socket(&o.pub, 0);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = ID_PUB};
    epoll_ctl(ep, EPOLL_CTL_ADD, P.fd, &ev);
}

static size_t fill_in(char *out, const char *tpl, u64 ts, u64 n) {
    char *w = out;
    while (*tpl) {
        if (!strncmp(tpl, "{{stamp}}", 9)) {
            w += sprintf(w, "ts=%llu n=%llu", (unsigned long long)ts, (unsigned long long)n);
            tpl += 9;
        } else if (!strncmp(tpl, "{{pad}}", 7)) {
            memcpy(w, pad, o.pad);
            w += o.pad;
            tpl += 7;
        } else
            *w++ = *tpl++;
    }
    return w - out;
}

static void pub_flush(void) {
    while (P.sent < P.reqlen) {
        ssize_t r = send(P.fd, P.req + P.sent, P.reqlen - P.sent, MSG_NOSIGNAL);
        if (r < 0) return; /* not yet, or broken: the read side will tell */
        P.sent += r;
    }
}

static void pub_next(void) {
    if (P.busy || P.qh == P.qt) return;
    if (P.fd < 0) pub_connect();
    u64 ts = P.due[P.qh++ % QUEUE];
    if (!ts) ts = now_ns();
    while (msg_find(ts)) ts++;
    size_t bl = fill_in(P.body, o.body, ts, ++P.n);
    int k = sprintf(P.req, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n", o.pub.path,
                    o.pub.host, bl);
    for (int i = 0; i < o.nheaders; i++) k += sprintf(P.req + k, "%s\r\n", o.headers[i]);
    k += sprintf(P.req + k, "\r\n");
    memcpy(P.req + k, P.body, bl);
    P.reqlen = k + bl;
    P.sent = 0;
    P.rlen = 0;
    P.busy = 1;
    msg_add(ts, expected());
    outstanding++;
    pub_flush();
}

/* is the answer in P.resp complete? */
static int pub_answered(int *code) {
    char *e = strstr(P.resp, "\r\n\r\n");
    if (!e) return 0;
    *code = atoi(P.resp + 9);
    char *body = e + 4, *cl = strcasestr(P.resp, "\r\ncontent-length:");
    if (*code == 204) return 1;
    if (cl && cl < e) return P.rlen - (body - P.resp) >= strtoul(cl + 17, NULL, 10);
    return strstr(e + 2, "\r\n0\r\n\r\n") != NULL; /* chunked */
}

static void pub_read(void) {
    for (;;) {
        ssize_t r = recv(P.fd, P.resp + P.rlen, sizeof P.resp - P.rlen - 1, 0);
        if (r < 0 && errno == EAGAIN) return;
        if (r <= 0) {
            close(P.fd);
            P.fd = -1;
            if (P.busy && !P.rlen && pub_retries++ < 100) { /* a stale keep-alive connection: say it again */
                pub_connect();
                return;
            }
            pub_errors += P.busy;
            P.busy = 0;
            return;
        }
        P.rlen += r;
        P.resp[P.rlen] = 0;
        int code;
        if (!pub_answered(&code)) continue;
        if ((code < 200 || code > 299) && !pub_errors++) fprintf(stderr, "fanload: publish answered: %.300s\n", P.resp);
        P.busy = 0;
        P.rlen = 0;
        pub_next();
    }
}

/* due 0: now */
static void pub_enqueue(u64 due) {
    if (P.qt - P.qh >= QUEUE) die("publisher hopelessly behind");
    P.due[P.qt++ % QUEUE] = due;
    pub_next();
}

/* ------------------------------------------------------------------- loop */

static int tfd = -1;

static void conn_event(struct conn *c, u32 events) {
    if (c->fd < 0) return;
    if (c->state == C_CONNECTING) {
        int err = 0;
        socklen_t l = sizeof err;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &l);
        if (err) return conn_lost(c);
        if (events & EPOLLOUT) {
            struct epoll_event e2 = {.events = EPOLLIN, .data.u64 = c->idx};
            epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e2);
            c->state = C_HANDSHAKE;
            send_handshake(c);
        }
    } else if (c->slow && c->state == C_READY) {
        if (events & (EPOLLERR | EPOLLHUP)) conn_lost(c);
    } else
        conn_read(c);
}

static void come_back(void) {
    u64 t = now_ns();
    for (; wait_h != wait_t && pending_hs < o.inflight; wait_h++) {
        u64 slot = wait_slot(wait_h);
        if (wait_q[slot].due > t) break;
        conn_start(&conns[wait_q[slot].idx]);
    }
}

static void pump(int timeout_ms) {
    struct epoll_event ev[512];
    if (wait_h != wait_t) {
        come_back();
        if (timeout_ms > 5) timeout_ms = 5;
    }
    int k = epoll_wait(ep, ev, 512, timeout_ms);
    for (int i = 0; i < k; i++) {
        u64 id = ev[i].data.u64;
        if (id == ID_PUB) {
            if (P.fd < 0) continue;
            if (ev[i].events & EPOLLOUT) pub_flush();
            if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) pub_read();
            pub_next();
        } else if (id == ID_TIMER) {
            u64 x;
            if (read(tfd, &x, 8) < 0) {}
        } else
            conn_event(&conns[id], ev[i].events);
    }
}

static void pump_for(double sec) {
    for (u64 end = now_ns() + (u64)(sec * 1e9); now_ns() < end;) pump(20);
}

static void connect_all(void) {
    u64 give_up = now_ns() + 120ull * 1000000000ull;
    for (int started = 0; (started < o.n || pending_hs > 0) && now_ns() < give_up;) {
        for (; started < o.n && pending_hs < o.inflight; started++) {
            conns[started].idx = started;
            conns[started].slow = started < o.slow;
            conn_start(&conns[started]);
        }
        pump(50);
        if (hs_fail > (u64)o.n / 10 + 10) break;
    }
    if (!nready) die("no subscriber could connect");
}

/* Publish for sec seconds, at a rate or (0) so that o.window are outstanding; or only listen.
 * At a rate the stamp is the scheduled time, so waiting for a busy server counts. */
static void play(double sec, double rate) {
    u64 start = now_ns(), end = start + (u64)(sec * 1e9), sent = 0;
    for (u64 t = start; t < end; t = now_ns()) {
        if (o.have_pub && rate > 0) {
            u64 next = start + (u64)(sent * 1e9 / rate);
            for (; next <= t && next < end; next = start + (u64)(++sent * 1e9 / rate)) pub_enqueue(next);
            struct itimerspec it = {.it_value = {next / 1000000000ull, next % 1000000000ull}};
            timerfd_settime(tfd, TFD_TIMER_ABSTIME, &it, NULL);
        } else if (o.have_pub)
            while (outstanding + (P.qt - P.qh) < (u64)o.window) pub_enqueue(0);
        pump(20);
    }
    u64 limit = now_ns() + (u64)(o.drain * 1e9);
    while ((outstanding || P.qh != P.qt || P.busy || pending_hs > 0 || wait_h != wait_t) && now_ns() < limit) pump(10);
    outstanding = 0; /* what did not come by now is missing */
    settled = nmsgs;
}

static int by_value(const void *a, const void *b) {
    double x = *(double *)a, y = *(double *)b;
    return x < y ? -1 : x > y;
}
static void print_quantiles(const char *name, double *v, size_t n) {
    qsort(v, n, sizeof *v, by_value);
    if (n) printf("\"%s\":{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f},", name, v[n / 2], v[n * 99 / 100], v[n - 1]);
}

/* play() with the figures of it */
static void measure(const char *name, double sec, double rate) {
    u32 from = nmsgs;
    struct usage u0 = tree_usage();
    double s0 = self_cpu(), b0 = machine_busy();
    u64 t0 = now_ns();
    play(sec, rate);
    double wall = (now_ns() - t0) * 1e-9, self = self_cpu() - s0, busy = machine_busy() - b0;
    struct usage u1 = tree_usage();
    double cpu = u1.cpu - u0.cpu;

    size_t complete = 0;
    u64 deliveries = 0, missing = 0, active = 0, until = 0; /* active: time in which anything was under way */
    double *last = malloc(sizeof(double) * (nmsgs - from + 1)), *first = malloc(sizeof(double) * (nmsgs - from + 1));
    for (struct msg *m = msgs + from; m < msgs + nmsgs; m++) {
        deliveries += m->count;
        if (m->last > until) {
            active += m->last - (m->ts > until ? m->ts : until);
            until = m->last;
        }
        if (m->count < m->need) {
            missing += m->need - m->count;
            continue;
        }
        first[complete] = (m->first - m->ts) * 1e-6;
        last[complete++] = (m->last - m->ts) * 1e-6;
    }
    printf("\"%s\":{\"published\":%u,\"complete\":%zu,\"missing\":%llu,\"deliveries\":%llu,\"deliveries_per_s\":%.0f,", name, nmsgs - from,
           complete, (unsigned long long)missing, (unsigned long long)deliveries, active ? deliveries / (active * 1e-9) : 0);
    print_quantiles("first_ms", first, complete);
    print_quantiles("last_ms", last, complete);
    printf("\"last_at_ns\":%llu,\"cpu_s\":%.2f,\"cpu_s_per_1m\":%.3f,\"server_cores\":%.2f,\"client_cores\":%.2f,\"others_cores\":%.2f,"
           "\"rss_mb\":%.1f},",
           (unsigned long long)until, cpu, deliveries ? cpu / deliveries * 1e6 : 0, cpu / wall, self / wall,
           o.npids ? (busy - cpu - self) / wall : 0, u1.rss_kb / 1024);
}

/* words, so that it is text like any other; no character that JSON or HTML would escape */
static void make_pad(void) {
    static const char *words[] = {"timeline", "entry", "posted", "photo",   "from",      "the",   "river",  "walk", "today",  "listened",
                                  "to",       "album", "by",     "and",     "compilers", "then",  "liked",  "an",   "article", "about",
                                  "video",    "of",    "a",      "concert", "run",       "in",    "minutes", "km",  "pushed", "fixes"};
    pad = malloc(o.pad + 64);
    u64 rng = 88172645463325252ull;
    for (size_t n = 0; n < o.pad;) {
        rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
        n += sprintf(pad + n, "%s ", words[rng % 30]);
    }
    if (o.pad) pad[o.pad - 1] = '.';
}

static void usage(void) {
    fprintf(stderr,
            "usage: fanload [options] ws://HOST:PORT/PATH | http://HOST:PORT/PATH (SSE)\n"
            "subscribers\n"
            "  -n N                subscribers (1000)\n"
            "  --inflight K        handshakes under way at once (256)\n"
            "  --send TEXT         WebSocket text to send once open\n"
            "  --ready PREFIX      a subscriber counts once it got a text that starts so\n"
            "  --reply A=B         answer a text A with a text B (protocol-level pings)\n"
            "  --slow K            the first K subscribers never read\n"
            "  --rcvbuf BYTES      SO_RCVBUF of those\n"
            "publishing\n"
            "  --publish URL       HTTP endpoint; without it, only listen\n"
            "  --body TEMPLATE     JSON with {{stamp}} and {{pad}}, each once\n"
            "  --pad BYTES         how much text {{pad}} is (1024)\n"
            "  --header 'Name: value'   on what is published (repeatable)\n"
            "measurements, in this order\n"
            "  --settle S          wait, then read the server's memory (0.5)\n"
            "  --warmup S          publish, not measured (0.5)\n"
            "  --saturate S        publish so that --window W (2) messages are outstanding\n"
            "  --pace S --rate R   publish R a second\n"
            "  --listen S          somebody else publishes\n"
            "  --drain S           how long to wait for stragglers after each (10)\n"
            "recovery\n"
            "  --reconnect MS      a subscriber that the server closes comes back after MS\n"
            "  --resume-key TEXT   what precedes the position in a message, e.g. '\"seq\":'\n"
            "  --resume-param P    give it back as ?P=position\n"
            "server\n"
            "  --pid PID           measure this process and its descendants (repeatable)\n");
    exit(2);
}

static void read_options(int argc, char **argv) {
    char *target = NULL;
    int http;
    o.n = 1000;
    o.window = 2;
    o.inflight = 256;
    o.settle = o.warmup = 0.5;
    o.drain = 10;
    o.pad = 1024;
    o.body = "{\"text\":\"{{stamp}} {{pad}}\"}";
#define ARG(name) (!strcmp(a, name) && i + 1 < argc)
    for (int i = 1; i < argc; i++) {
        char *a = argv[i];
        if (ARG("-n")) o.n = atoi(argv[++i]);
        else if (ARG("--inflight")) o.inflight = atoi(argv[++i]);
        else if (ARG("--send")) o.send = argv[++i];
        else if (ARG("--ready")) o.ready = argv[++i];
        else if (ARG("--reply")) {
            o.reply_from = argv[++i];
            o.reply_to = strchr(o.reply_from, '=');
            if (!o.reply_to) usage();
            *o.reply_to++ = 0;
        } else if (ARG("--slow")) o.slow = atoi(argv[++i]);
        else if (ARG("--rcvbuf")) o.rcvbuf = atoi(argv[++i]);
        else if (ARG("--publish")) {
            parse_url(argv[++i], &o.pub, &http);
            o.have_pub = 1;
        } else if (ARG("--body")) o.body = argv[++i];
        else if (ARG("--pad")) o.pad = atoi(argv[++i]);
        else if (ARG("--header")) {
            if (o.nheaders < 16) o.headers[o.nheaders++] = argv[++i];
        } else if (ARG("--settle")) o.settle = atof(argv[++i]);
        else if (ARG("--warmup")) o.warmup = atof(argv[++i]);
        else if (ARG("--saturate")) o.saturate = atof(argv[++i]);
        else if (ARG("--window")) o.window = atoi(argv[++i]);
        else if (ARG("--pace")) o.pace = atof(argv[++i]);
        else if (ARG("--rate")) o.rate = atof(argv[++i]);
        else if (ARG("--listen")) o.listen = atof(argv[++i]);
        else if (ARG("--drain")) o.drain = atof(argv[++i]);
        else if (ARG("--reconnect")) o.reconnect = atof(argv[++i]);
        else if (ARG("--resume-key")) o.resume_key = argv[++i];
        else if (ARG("--resume-param")) o.resume_param = argv[++i];
        else if (ARG("--pid")) {
            if (o.npids < 32) o.pids[o.npids++] = atoi(argv[++i]);
        } else if (a[0] == '-') usage();
        else target = a;
    }
    if (!target || (o.pace > 0 && o.rate <= 0) || !o.resume_key != !o.resume_param) usage();
    parse_url(target, &o.url, &o.mode);
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    read_options(argc, argv);
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    if (rl.rlim_cur < (rlim_t)o.n + 64) die("ulimit -n is %lu, too low for %d subscribers", (unsigned long)rl.rlim_cur, o.n);

    make_pad();
    conns = calloc(o.n, sizeof *conns);
    wait_q = calloc(2 * o.n + 16, sizeof *wait_q);
    msgs = calloc(MAXMSG, sizeof *msgs);
    htab = calloc(HSIZE, sizeof *htab);
    G = malloc(GCAP + 512 * 1024);
    D = malloc(GCAP + 512 * 1024);
    P.body = malloc(o.pad + strlen(o.body) + 4096);
    P.req = malloc(o.pad + strlen(o.body) + 65536);
    ep = epoll_create1(EPOLL_CLOEXEC);
    tfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event tev = {.events = EPOLLIN, .data.u64 = ID_TIMER};
    epoll_ctl(ep, EPOLL_CTL_ADD, tfd, &tev);

    struct usage u0 = tree_usage();
    u64 t0 = now_ns();
    connect_all();
    double connect_s = (now_ns() - t0) * 1e-9;
    u32 connected = nready;
    pump_for(o.settle);
    struct usage u1 = tree_usage();
    fprintf(stderr, "ready\n");

    printf("{\"n\":%d,\"connected\":%u,\"connect_s\":%.2f,", o.n, connected, connect_s);
    if (o.npids)
        printf("\"connect_cpu_ms\":%.3f,\"kb_per_connection\":%.2f,\"rss_mb\":%.1f,", (u1.cpu - u0.cpu) / connected * 1e3,
               (u1.rss_kb - u0.rss_kb) / connected, u1.rss_kb / 1024);
    if (o.have_pub && o.warmup > 0) play(o.warmup, 0);
    if (o.saturate > 0) measure("saturated", o.saturate, 0);
    if (o.pace > 0) measure("paced", o.pace, o.rate);
    if (o.listen > 0) measure("heard", o.listen, 0);
    printf("\"handshake_failures\":%llu,\"publish_errors\":%llu,\"gaps\":%llu,\"repeats\":%llu,\"reorders\":%llu,\"closed_by_server\":%llu,"
           "\"slow_closed\":%u,\"resumed\":%llu,\"all_back_ns\":%llu}\n",
           (unsigned long long)hs_fail, (unsigned long long)pub_errors, (unsigned long long)gaps, (unsigned long long)repeats,
           (unsigned long long)reorders, (unsigned long long)closed_by_server, nslow_closed, (unsigned long long)resumed,
           (unsigned long long)all_back);
    return 0;
}
