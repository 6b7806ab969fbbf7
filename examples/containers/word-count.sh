#!/bin/sh
# A job: reads standard input, prints the answer, exit code 0. Arguments come from ?arg=… of the call.
set -eu
wc "${1:--w}" | tr -d ' \n'
echo
