/* floor - what fan-out costs at least: one epoll thread, one frame built per
 * message, one send() per subscriber.  WebSocket at /ws, SSE at /sse, publish
 * with POST /publish (the body is the message).  A subscriber whose socket is
 * full gets its own backlog, and is dropped over 8 MiB.
 *
 * Build: cc -O2 -o floor floor.c    Run: floor PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HTTP, WS, SSE };
struct conn {
    int fd, kind, pos; /* pos: index in subs */
    char *in;
    size_t inlen, incap;
    char *out;
    size_t outlen, outoff;
};
static struct conn **subs;
static int nsubs, subcap, ep;

/* RFC 6455, 4.2.2: the answer to a WebSocket key is a SHA-1 in base64 */
static uint32_t rol(uint32_t x, int k) { return x << k | x >> (32 - k); }
static void sha1(const uint8_t *m, size_t n, uint8_t out[20]) {
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint8_t buf[256] = {0};
    memcpy(buf, m, n);
    buf[n] = 0x80;
    size_t total = (n + 8) / 64 * 64 + 64;
    for (int i = 0; i < 8; i++) buf[total - 1 - i] = (uint8_t)((uint64_t)n * 8 >> (8 * i));
    for (size_t b = 0; b < total; b += 64) {
        uint32_t w[80];
        for (int i = 0; i < 16; i++)
            w[i] = (uint32_t)buf[b + 4 * i] << 24 | buf[b + 4 * i + 1] << 16 | buf[b + 4 * i + 2] << 8 | buf[b + 4 * i + 3];
        for (int i = 16; i < 80; i++) w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        uint32_t a = h[0], bb = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 80; i++) {
            uint32_t f = i < 20 ? (bb & c) | (~bb & d) : i < 40 ? bb ^ c ^ d : i < 60 ? (bb & c) | (bb & d) | (c & d) : bb ^ c ^ d;
            uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
            uint32_t t = rol(a, 5) + f + e + k + w[i];
            e = d, d = c, c = rol(bb, 30), bb = a, a = t;
        }
        h[0] += a, h[1] += bb, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++) out[i] = h[i / 4] >> (24 - 8 * (i % 4));
}
static void accept_key(const char *key, size_t n, char out[32]) {
    static const char T[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t buf[128], d[24] = {0};
    memcpy(buf, key, n);
    memcpy(buf + n, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    sha1(buf, n + 36, d);
    char *w = out;
    for (int i = 0; i < 21; i += 3) {
        uint32_t v = d[i] << 16 | d[i + 1] << 8 | d[i + 2];
        *w++ = T[v >> 18], *w++ = T[v >> 12 & 63], *w++ = T[v >> 6 & 63], *w++ = T[v & 63];
    }
    out[27] = '=';
    out[28] = 0;
}

static void drop(struct conn *c) {
    if (c->kind != HTTP) {
        subs[c->pos] = subs[--nsubs];
        subs[c->pos]->pos = c->pos;
    }
    close(c->fd);
    free(c->in);
    free(c->out);
    c->fd = -1; /* leaked on purpose: a stale event may still name it */
}

static int put(struct conn *c, const char *p, size_t n) {
    if (!c->outlen) {
        ssize_t r = send(c->fd, p, n, MSG_NOSIGNAL);
        if (r == (ssize_t)n) return 0;
        if (r < 0) {
            if (errno != EAGAIN) return -1;
            r = 0;
        }
        p += r, n -= r;
    }
    if (c->outlen + n > 8u << 20) return -1;
    c->out = realloc(c->out, c->outlen + n);
    memcpy(c->out + c->outlen, p, n);
    if (!c->outlen) {
        struct epoll_event ev = {EPOLLIN | EPOLLOUT, {.ptr = c}};
        epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
    }
    c->outlen += n;
    return 0;
}

static void broadcast(const char *m, size_t n) {
    static char ws[1 << 20], sse[1 << 20];
    size_t wl, sl;
    ws[0] = (char)0x81;
    if (n < 126) ws[1] = n, wl = 2;
    else if (n < 65536) ws[1] = 126, ws[2] = n >> 8, ws[3] = n, wl = 4;
    else ws[1] = 127, memset(ws + 2, 0, 4), ws[6] = n >> 24, ws[7] = n >> 16, ws[8] = n >> 8, ws[9] = n, wl = 10;
    memcpy(ws + wl, m, n);
    wl += n;
    sl = sprintf(sse, "data: ");
    memcpy(sse + sl, m, n);
    sl += n;
    sl += sprintf(sse + sl, "\n\n");
    for (int i = nsubs - 1; i >= 0; i--) {
        struct conn *c = subs[i];
        if (c->kind == WS ? put(c, ws, wl) : put(c, sse, sl)) drop(c);
    }
}

static char *header(char *head, const char *name) {
    char *p = strcasestr(head, name);
    if (!p) return NULL;
    p += strlen(name);
    while (*p == ' ') p++;
    return p;
}

static void subscribe(struct conn *c, int kind) {
    if (nsubs == subcap) subs = realloc(subs, sizeof *subs * (subcap = subcap ? subcap * 2 : 1024));
    c->kind = kind;
    c->pos = nsubs;
    subs[nsubs++] = c;
    free(c->in);
    c->in = NULL;
    c->inlen = c->incap = 0;
}

static int http(struct conn *c) {
    for (;;) {
        char *e = memmem(c->in, c->inlen, "\r\n\r\n", 4);
        if (!e) return 0;
        e[2] = 0;
        size_t head = e + 4 - c->in;
        char b[512];
        if (!strncmp(c->in, "GET /ws", 7)) {
            char *k = header(c->in, "sec-websocket-key:"), acc[32];
            if (!k) return -1;
            accept_key(k, strcspn(k, "\r\n "), acc);
            int n = sprintf(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", acc);
            subscribe(c, WS);
            return put(c, b, n);
        }
        if (!strncmp(c->in, "GET /sse", 8)) {
            int n = sprintf(b, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n");
            subscribe(c, SSE);
            return put(c, b, n);
        }
        char *cl = header(c->in, "content-length:");
        size_t body = cl ? strtoul(cl, NULL, 10) : 0;
        e[2] = '\r';
        if (c->inlen < head + body) return 0;
        if (put(c, "HTTP/1.1 204 No Content\r\n\r\n", 27)) return -1;
        broadcast(c->in + head, body);
        memmove(c->in, c->in + head + body, c->inlen - head - body);
        c->inlen -= head + body;
    }
}

int main(int argc, char **argv) {
    if (argc != 2) return fputs("usage: floor PORT\n", stderr), 2;
    signal(SIGPIPE, SIG_IGN);
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    int ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (bind(ls, (void *)&a, sizeof a) || listen(ls, 4096)) return perror("bind"), 1;
    ep = epoll_create1(0);
    struct epoll_event ev = {EPOLLIN, {.ptr = NULL}}, evs[256];
    epoll_ctl(ep, EPOLL_CTL_ADD, ls, &ev);
    for (;;) {
        int k = epoll_wait(ep, evs, 256, -1);
        for (int i = 0; i < k; i++) {
            struct conn *c = evs[i].data.ptr;
            if (!c) {
                int fd;
                while ((fd = accept4(ls, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    c = calloc(1, sizeof *c);
                    c->fd = fd;
                    ev = (struct epoll_event){EPOLLIN, {.ptr = c}};
                    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
                }
                continue;
            }
            if (c->fd < 0) continue;
            if (evs[i].events & EPOLLOUT && c->outlen) {
                ssize_t r = send(c->fd, c->out, c->outlen, MSG_NOSIGNAL);
                if (r > 0) {
                    memmove(c->out, c->out + r, c->outlen -= r);
                    if (!c->outlen) {
                        free(c->out);
                        c->out = NULL;
                        ev = (struct epoll_event){EPOLLIN, {.ptr = c}};
                        epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
                    }
                }
            }
            if (!(evs[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
            if (c->kind != HTTP) { /* subscribers say nothing we need */
                char t[4096];
                ssize_t r = recv(c->fd, t, sizeof t, 0);
                if (r == 0 || (r < 0 && errno != EAGAIN)) drop(c);
                continue;
            }
            if (c->incap - c->inlen < 4096) c->in = realloc(c->in, c->incap = c->incap * 2 + 8192);
            ssize_t r = recv(c->fd, c->in + c->inlen, c->incap - c->inlen - 1, 0);
            if (r <= 0) {
                if (r == 0 || errno != EAGAIN) drop(c);
                continue;
            }
            c->inlen += r;
            c->in[c->inlen] = 0;
            if (http(c)) drop(c);
        }
    }
}
