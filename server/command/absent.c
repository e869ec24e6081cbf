/* SPDX-License-Identifier: MIT */
/* What clients ask of functions, modules and scripts, answered by a server that has none. */
#include "server/command/server.h"

enum stave_status absent_function_flush(struct call *call)
{
    if (call->argument_count > 3 ||
        (call->argument_count == 3 && !call_is(call, 2, "sync") && !call_is(call, 2, "async")))
        return call_error(call, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
    reply_ok(call->reply);
    return STAVE_OK;
}

enum stave_status absent_module_list(struct call *call)
{
    reply_array(call->reply, 0);
    return STAVE_OK;
}

enum stave_status absent_script_kill(struct call *call)
{
    return call_error(call, "NOTBUSY No scripts in execution right now.");
}
