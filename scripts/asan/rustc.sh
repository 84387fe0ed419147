#!/bin/sh
# What cargo runs in rustc's place for the crates of the workspace: `rustc.sh <rustc> <arguments>`. The sanitizer is an
# unstable option, allowed for these crates alone so that everything else is taken from the ordinary build.
case " $* " in *" build_script_build "*) exec "$@" ;; esac
RUSTC_BOOTSTRAP=1 exec "$@" -Zsanitizer=address
