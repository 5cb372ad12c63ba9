# tap.sh — TAP from shell: sourced by tests/cli/*.t.
#
#   run bench list                 runs, keeps status in $status, stdout and stderr in files
#   is "$status" 0 "list works"    one test; a failure shows got and wanted, and the last outputs
#   like out 'lenet5' "…"          a regular expression in out or err
#   done_testing
#
# The program under test is $BENCH; the database and all files live in $dir, removed at the end.
BENCH=${BENCH:-./bench}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export BENCH_DB="$dir/test.db" NO_COLOR=1
tests=0 failed=0 status=0

run() {
    status=0
    "$@" >"$dir/out" 2>"$dir/err" </dev/null || status=$?
}
bench() { run "$BENCH" "$@"; }
show() { sed 's/^/# /' "$dir/out" "$dir/err" | head -20; }
ok() { # ok STATUS NAME
    tests=$((tests + 1))
    if [ "$1" = 0 ]; then echo "ok $tests - $2"; else
        echo "not ok $tests - $2"; failed=$((failed + 1)); show; fi
}
is() { # is GOT WANTED NAME
    [ "$1" = "$2" ]; ok $? "$3"
    [ "$1" = "$2" ] || printf '# got    %s\n# wanted %s\n' "$1" "$2"
}
like() { # like out|err REGEX NAME
    grep -qE -- "$2" "$dir/$1"; ok $? "$3"
}
skip() { tests=$((tests + 1)); echo "ok $tests # SKIP $1"; }
done_testing() { echo "1..$tests"; [ "$failed" = 0 ]; exit; }
# A value of a JSON file by a path of keys and indices: json FILE runs 0 status
json() {
    file=$1; shift
    perl -MJSON::PP -0777 -e 'my $j = decode_json(<STDIN>); for (@ARGV) { $j = ref $j eq "ARRAY" ? $j->[$_] : $j->{$_} }
        print !defined $j ? "null" : JSON::PP::is_bool($j) ? ($j ? "true" : "false") : ref $j ? ref $j : $j' "$@" <"$file" 2>/dev/null
}
