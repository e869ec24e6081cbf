/* SPDX-License-Identifier: MIT */
/* A small parser with a stack of its own, as deep as brackets may nest. */
#include "server/command/syntax.h"

#include <string.h>

/* Behind an open bracket; the outermost has none. */
struct frame {
    char bracket;
    size_t choice;    /* the node of "|", once there is one */
    size_t block;     /* gathers the items of the present alternative */
    size_t last_item; /* of the block; 0: none */
};

struct parser {
    struct syntax *syntax;
    struct frame frames[SYNTAX_DEPTH_MAX];
    size_t depth;
    bool failed;
};

static size_t add_node(struct parser *parser, enum syntax_kind kind)
{
    if (parser->syntax->count == SYNTAX_NODE_COUNT_MAX) {
        parser->failed = true;
        return 0;
    }
    const size_t node = parser->syntax->count++;
    parser->syntax->nodes[node] = (struct syntax_node){.kind = kind};
    return node;
}

static void append_child(struct parser *parser, size_t parent, size_t child)
{
    struct syntax_node *nodes = parser->syntax->nodes;
    size_t *link = &nodes[parent].first_child;
    while (*link != 0) link = &nodes[*link].next;
    *link = child;
}

static bool open_frame(struct parser *parser, char bracket, size_t block)
{
    if (parser->depth == SYNTAX_DEPTH_MAX) return false;
    parser->frames[parser->depth++] = (struct frame){bracket, 0, block, 0};
    return true;
}

/* A token without an argument takes what follows it. */
static void add_item(struct parser *parser, size_t item)
{
    struct frame *frame = &parser->frames[parser->depth - 1];
    struct syntax_node *nodes = parser->syntax->nodes;
    const size_t last = frame->last_item;
    const bool is_argument = last != 0 && nodes[last].kind == SYNTAX_TOKEN && !nodes[last].is_optional &&
                             nodes[item].kind != SYNTAX_TOKEN && !nodes[item].is_optional;
    if (is_argument) {
        const struct syntax_node token = nodes[last];
        nodes[last] = nodes[item];
        nodes[last].token = token.name;
        nodes[last].token_size = token.name_size;
        nodes[last].next = token.next;
        return;
    }
    append_child(parser, frame->block, item);
    frame->last_item = item;
}

/* The present alternative is complete: a block of one item is that item. */
static size_t finish_block(struct parser *parser, const struct frame *frame)
{
    struct syntax_node *nodes = parser->syntax->nodes;
    const size_t only = nodes[frame->block].first_child;
    if (only != 0 && nodes[only].next == 0) return only;
    return frame->block;
}

static void begin_alternative(struct parser *parser)
{
    struct frame *frame = &parser->frames[parser->depth - 1];
    if (frame->choice == 0) frame->choice = add_node(parser, SYNTAX_ONE_OF);
    append_child(parser, frame->choice, finish_block(parser, frame));
    frame->block = add_node(parser, SYNTAX_BLOCK);
    frame->last_item = 0;
}

/* What the frame comes to: one node. */
static size_t finish_frame(struct parser *parser, const struct frame *frame)
{
    const size_t node = finish_block(parser, frame);
    if (frame->choice == 0) return node;
    append_child(parser, frame->choice, node);
    return frame->choice;
}

static bool close_frame(struct parser *parser, char bracket)
{
    if (parser->depth < 2 || parser->frames[parser->depth - 1].bracket != bracket) return false;
    const struct frame frame = parser->frames[--parser->depth];
    const size_t node = finish_frame(parser, &frame);
    if (bracket == '[') parser->syntax->nodes[node].is_optional = true;
    add_item(parser, node);
    return true;
}

static bool is_token(const char *word, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (word[i] >= 'a' && word[i] <= 'z') return false;
    return true;
}

static bool take_word(struct parser *parser, const char *word, size_t size)
{
    const size_t last = parser->frames[parser->depth - 1].last_item;
    if (size == 3 && memcmp(word, "...", 3) == 0) {
        if (last == 0) return false;
        parser->syntax->nodes[last].is_multiple = true;
        return true;
    }
    const size_t node = add_node(parser, is_token(word, size) ? SYNTAX_TOKEN : SYNTAX_WORD);
    parser->syntax->nodes[node].name = word;
    parser->syntax->nodes[node].name_size = size;
    add_item(parser, node);
    return true;
}

/* One sign or word at `text`; the result is its length, 0 if it does not fit. */
static size_t take(struct parser *parser, const char *text)
{
    static const char signs[] = " []()|";
    switch (*text) {
    case ' ': return 1;
    case '[':
    case '(': return open_frame(parser, *text, add_node(parser, SYNTAX_BLOCK)) ? 1 : 0;
    case ']': return close_frame(parser, '[') ? 1 : 0;
    case ')': return close_frame(parser, '(') ? 1 : 0;
    case '|': begin_alternative(parser); return 1;
    default: break;
    }
    const size_t size = strcspn(text, signs);
    return take_word(parser, text, size) ? size : 0;
}

/* Blocks and choices are called after the first word in them. */
static void name_groups(struct syntax *syntax)
{
    for (size_t i = 0; i < syntax->count; i++) {
        struct syntax_node *node = &syntax->nodes[i];
        size_t first = i;
        while (syntax->nodes[first].name == NULL && syntax->nodes[first].first_child != 0)
            first = syntax->nodes[first].first_child;
        if (node->name != NULL || syntax->nodes[first].name == NULL) continue;
        node->name = syntax->nodes[first].name;
        node->name_size = syntax->nodes[first].name_size;
    }
}

bool syntax_parse(const char *text, struct syntax *ret_syntax)
{
    struct parser parser = {.syntax = ret_syntax, .depth = 0, .failed = false};
    ret_syntax->count = 0;
    const size_t root = add_node(&parser, SYNTAX_BLOCK);
    const size_t block = add_node(&parser, SYNTAX_BLOCK);
    open_frame(&parser, 0, block);
    while (*text != 0) {
        const size_t size = take(&parser, text);
        if (size == 0 || parser.failed) return false;
        text += size;
    }
    if (parser.depth != 1) return false;
    /* The root holds the arguments themselves, or the one choice that all of them are. */
    const struct frame *frame = &parser.frames[0];
    if (frame->choice == 0)
        ret_syntax->nodes[root].first_child = ret_syntax->nodes[frame->block].first_child;
    else
        append_child(&parser, root, finish_frame(&parser, frame));
    name_groups(ret_syntax);
    return !parser.failed;
}

size_t syntax_child_count(const struct syntax *syntax, size_t node)
{
    size_t count = 0;
    for (size_t at = syntax->nodes[node].first_child; at != 0; at = syntax->nodes[at].next) count++;
    return count;
}
