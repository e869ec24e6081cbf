/* SPDX-License-Identifier: MIT */
/* Takes a URI apart from its front. */
#include "cli/uri.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/message.h"

static int hex_digit(char letter)
{
    if (!isxdigit((unsigned char)letter)) return -1;
    return isdigit((unsigned char)letter) ? letter - '0' : tolower((unsigned char)letter) - 'a' + 10;
}

/* A copy of a part, %XX resolved. */
static char *decode(const char *part, size_t size)
{
    char *const decoded = message_need(memory_alloc(size + 1));
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        const bool is_escape =
            part[i] == '%' && i + 2 < size && hex_digit(part[i + 1]) >= 0 && hex_digit(part[i + 2]) >= 0;
        decoded[length++] =
            is_escape ? (char)(16 * hex_digit(part[i + 1]) + hex_digit(part[i + 2])) : part[i];
        if (is_escape) i += 2;
    }
    decoded[length] = '\0';
    return decoded;
}

/* "user:password", or a password alone. */
static void parse_user(char *part, size_t size, struct uri *uri)
{
    const char *const colon = memchr(part, ':', size);
    const size_t user_size = colon != NULL ? (size_t)(colon - part) : 0;
    const size_t password_start = colon != NULL ? user_size + 1 : 0;
    if (user_size > 0) uri->user = decode(part, user_size);
    uri->password = decode(part + password_start, size - password_start);
    memset(part + password_start, '*', size - password_start);
}

/* "host:port" or "[address]:port" */
static bool parse_host(const char *part, size_t size, struct uri *uri)
{
    const bool is_bracketed = size > 0 && part[0] == '[';
    const char *const bracket = is_bracketed ? memchr(part, ']', size) : NULL;
    if (is_bracketed && bracket == NULL) return false;
    const char *const host = is_bracketed ? part + 1 : part;
    const char *const rest = is_bracketed ? bracket + 1 : part;
    const char *const colon = memchr(rest, ':', size - (size_t)(rest - part));
    const char *const end = is_bracketed ? bracket : colon != NULL ? colon : part + size;
    if (end > host) uri->host = decode(host, (size_t)(end - host));
    if (colon == NULL) return true;

    char *const port = decode(colon + 1, size - (size_t)(colon + 1 - part));
    char *port_end = NULL;
    const long number = strtol(port, &port_end, 10);
    const bool is_port = port_end != port && *port_end == '\0' && number >= 1 && number <= 65535;
    if (is_port)
        uri->port = port;
    else
        memory_free(port);
    return is_port;
}

static bool parse_database(const char *path, struct uri *uri)
{
    if (*path == '\0') return true;
    char *end = NULL;
    const long number = strtol(path, &end, 10);
    if (*end != '\0' || !isdigit((unsigned char)path[0]) || number > INT32_MAX) return false;
    uri->database = (uint32_t)number;
    return true;
}

bool uri_parse(char *text, struct uri *uri)
{
    static const char scheme[] = "redis://";
    static const char scheme_tls[] = "rediss://";
    if (strncmp(text, scheme_tls, strlen(scheme_tls)) == 0) {
        message("-u: this program has no TLS");
        return false;
    }
    if (strncmp(text, scheme, strlen(scheme)) != 0) {
        message("-u: a URI that begins with redis:// is needed");
        return false;
    }
    char *at = text + strlen(scheme);
    const size_t authority_size = strcspn(at, "/?#");
    char *const user_end = memrchr(at, '@', authority_size);
    const char *const authority_end = at + authority_size;
    if (user_end != NULL) {
        parse_user(at, (size_t)(user_end - at), uri);
        at = user_end + 1;
    }
    const char *const path = *authority_end == '/' ? authority_end + 1 : authority_end;
    if (!parse_host(at, (size_t)(authority_end - at), uri) || !parse_database(path, uri)) {
        message("-u: host, port or database cannot be read");
        return false;
    }
    return true;
}
