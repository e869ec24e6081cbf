/* SPDX-License-Identifier: MIT */
/* The value of one directive: parsed into its field, written as text. */
#ifndef STAVE_SERVER_CONFIG_VALUE_H
#define STAVE_SERVER_CONFIG_VALUE_H

#include "server/config_table.h"

/* The words of one directive's value. */
#define CONFIG_WORD_COUNT_MAX 128

/*
 * Stores the value that `words` give. `number` is that of the directive. Result STAVE_OK; STAVE_INVALID with
 * Redis' words for what is wrong; STAVE_NO_MEMORY. A failure changes nothing.
 */
enum stave_status config_value_store(struct config *config, int number, const struct stave_bytes *words,
                                     size_t count, char ret_error[CONFIG_ERROR_SIZE]);

/* The same of a text: that of a list is cut into words. */
enum stave_status config_value_store_text(struct config *config, int number, struct stave_bytes text,
                                          char ret_error[CONFIG_ERROR_SIZE]);

/* Appends the value as CONFIG GET shows it. */
enum stave_status config_value_format(const struct config *config, int number, struct buffer *out);

/* Appends the value as a configuration file has it: whole GiB, MiB and KiB with their unit. */
enum stave_status config_value_write(const struct config *config, int number, struct buffer *out);

/* Does the directive stand for several words in a configuration file? */
bool config_value_is_list(int number);

#endif
