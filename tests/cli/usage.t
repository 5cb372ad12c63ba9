#!/bin/sh
# Mistakes on the command line: exit 2, what was found, what was expected, a suggestion.
. tests/cli/tap.sh

bench; is $status 2 "no verb: exit 2"; like out 'usage: bench' "and the usage"
bench --version; is $status 0 "--version"; like out '^bench [0-9]+\.[0-9]+\.[0-9]+$' "tells a version"
bench --help; is $status 0 "--help"; like out 'run ' "lists verbs"
bench help run; is $status 0 "help run"; like out '--to-accuracy PERCENT' "lists the options"
bench run --help; is $status 0 "run --help"; like out '--epochs N' "lists them too"
bench help rnu; is $status 2 "help of an unknown verb"
bench rnu; is $status 2 "unknown verb: exit 2"; like err "did you mean 'run'" "with a suggestion"
bench run; is $status 2 "run without a selector"; like err 'expected a selector' "says what is missing"
bench run lenet; is $status 2 "unknown plugin: exit 2"; like err 'lenet5' "with a suggestion"
bench run lenet5:modrn; is $status 2 "unknown variant: exit 2"; like err 'modern' "with a suggestion"
bench run lenet5 --epoch 3; is $status 2 "unknown option: exit 2"; like err "did you mean '--epochs'" "with a suggestion"
bench run lenet5 -z; is $status 2 "unknown letter: exit 2"
bench run lenet5 --epochs; is $status 2 "option without its value"; like err 'expected N behind it' "says so"
for bad in 1.5 x -1 "" 99999999999; do
    bench run lenet5 --epochs "$bad"; is $status 2 "--epochs '$bad': exit 2"
    like err 'epochs: expected a whole number' "and what was expected"
done
for bad in nan inf x 0 -1e3; do
    bench run lenet5 --lr "$bad"; is $status 2 "--lr $bad: exit 2"
done
bench run lenet5 --to-accuracy 0.9; is $status 2 "--to-accuracy is in percent"
bench run lenet5 --to-accuracy 101; is $status 2 "and not above 100"
for option in db data save init isa cache; do
    bench run lenet5 --$option ''; is $status 2 "--$option with nothing: exit 2"; like err "$option: expected [A-Z]*, found ''" "says so"
done
bad=$(printf 'x\377')
bench run lenet5 --data "$bad"; is $status 2 "a name that is not UTF-8: exit 2"; like err "data: byte 2 is not UTF-8, after 'x'" "says where"
bench info "$bad"; is $status 2 "nor a word: exit 2"; like err "info: byte 2 is not UTF-8" "says so"
bench run lenet5 --quiet=yes; is $status 2 "a flag takes no value"
bench list --color sometimes; is $status 2 "--color WHEN"
bench run lenet5 --isa sse2; is $status 2 "unknown instruction set: exit 2"; like err 'scalar' "names those there are"
bench run lenet5 --conv-algo winograd; is $status 2 "unknown algorithm: exit 2"; like err "did you mean 'winograd2'" "with a suggestion"
bench run lenet5 --data nowhere; is $status 2 "unknown dataset: exit 2"; like err 'nowhere' "named"
bench run lenet5 --data "$dir/empty"; is $status 2 "a folder that is not there: exit 2"; like err "$dir/empty" "named"
bench run ./no/such.so; [ $status = 9 ] || [ $status = 2 ]; ok $? "a file that is not there"
bench dump lenet5; is $status 2 "dump without -o"
bench dump 'mlp:*' -o "$dir/x"; is $status 2 "dump of several variants"; [ ! -e "$dir/x" ]; ok $? "leaves no file"
bench info; is $status 2 "info without a name"
bench plugin frobnicate; is $status 2 "plugin with an unknown word"
bench list nothing; is $status 2 "list takes no argument"
bench doctor --threads 0; is $status 2 "doctor --threads 0"
bench doctor --fix --restore; is $status 2 "doctor --fix --restore"
mkdir -p "$dir/root/run" "$dir/root/proc/sys/kernel"; echo 0 >"$dir/root/proc/sys/kernel/randomize_va_space"
run env BENCH_SYSROOT="$dir/root" "$BENCH" doctor --fix --threads 1 --json; is $status 0 "doctor --fix"
is "$(cat "$dir/root/proc/sys/kernel/randomize_va_space")" 2 "changes a setting"
case $(json "$dir/out" verdict fit) in true|false) ok 0 "and judges" ;; *) ok 1 "and judges" ;; esac; like out '"q99"' "by the noise"
run env BENCH_SYSROOT="$dir/root" "$BENCH" doctor --restore; is $status 0 "doctor --restore"
is "$(cat "$dir/root/proc/sys/kernel/randomize_va_space")" 0 "puts it back"
run env BENCH_SYSROOT="$dir/root" "$BENCH" doctor --restore; is $status 1 "nothing left to restore"
run sh -c "'$BENCH' list >/dev/full"; is $status 1 "a full disk is an error"
done_testing
