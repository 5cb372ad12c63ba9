#!/bin/sh
# build_info.sh FLAGS_FILE — prints build_info.h: which commit, how changed, which flags: the
# first line of the file is for compiling, the second for linking.
# Outside git (a tarball) the commit is "" and dirty is -1, unknown.
set -eu
quote() { sed 's/[\\"]/\\&/g; s/.*/"&"/'; }
git_or() { # DEFAULT ARGUMENT...
    default=$1; shift
    git "$@" 2>/dev/null || printf '%s\n' "$default"
}
commit=$(git_or '' rev-parse --verify HEAD)
dirty=-1
diff=
if [ -n "$commit" ]; then
    dirty=0
    if ! git diff --quiet HEAD 2>/dev/null; then
        dirty=1
        diff=$(git diff --no-ext-diff HEAD | sha256sum | cut -d' ' -f1)
    fi
fi
cat <<END
#define BUILD_COMMIT   "$commit"
#define BUILD_BRANCH   $(git_or '' symbolic-ref --short -q HEAD | quote)
#define BUILD_COMMIT_S $(git_or -1 log -1 --format=%ct)
#define BUILD_DIRTY    $dirty
#define BUILD_DIFF     "$diff"
#define BUILD_FLAGS    $(sed -n 1p "$1" | quote)
#define BUILD_LDFLAGS  $(sed -n '2s/^ *//p' "$1" | quote)
END
