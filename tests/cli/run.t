#!/bin/sh
# bench run: what is printed, recorded and returned.
. tests/cli/tap.sh
quick="--data digits --max-steps 30 --threads 1"

bench run mlp:128 $quick --json
is $status 0 "a short run"
is "$(json "$dir/out" schema)" 1 "--json: schema"
is "$(json "$dir/out" runs 0 plugin)" mlp "plugin"
is "$(json "$dir/out" runs 0 variant)" 128 "variant"
is "$(json "$dir/out" runs 0 status)" ok "status"
is "$(json "$dir/out" runs 0 dataset)" digits "dataset"
is "$(json "$dir/out" runs 0 synthetic)" true "synthetic data are marked"
is "$(json "$dir/out" runs 0 params)" 101770 "parameters"
is "$(json "$dir/out" runs 0 macs)" 101632 "multiply-adds"
is "$(json "$dir/out" runs 0 steps)" 30 "steps"
is "$(json "$dir/out" runs 0 seed)" 1 "seed"
is "$(json "$dir/out" runs 0 run)" 1 "number in the database"
for key in isa precision batch threads step_ms_median step_ms_mad samples_per_s train_loss time_s peak_bytes reason; do
    json "$dir/out" runs 0 | grep -q HASH && perl -MJSON::PP -0777 -e 'exit !exists decode_json(<STDIN>)->{runs}[0]{$ARGV[0]}' $key <"$dir/out"
    ok $? "has $key"
done
accuracy=$(json "$dir/out" runs 0 metrics accuracy)
perl -e 'exit !($ARGV[0] > 15 && $ARGV[0] <= 100)' "$accuracy"; ok $? "learnt something in 30 steps: $accuracy %"
loss=$(json "$dir/out" runs 0 train_loss)

bench run mlp:128 --data digits --max-steps 30 --threads 2 --json
is "$(json "$dir/out" runs 0 train_loss)" "$loss" "two threads: the same loss to the last digit"
bench run mlp:128 $quick --no-fuse --isa scalar --json
perl -e 'exit !(abs($ARGV[0] / $ARGV[1] - 1) < 1e-4)' "$(json "$dir/out" runs 0 train_loss)" "$loss"
ok $? "scalar and unfused: the same loss but for rounding"
bench run mlp:128 $quick --seed 7 --json
[ "$(json "$dir/out" runs 0 train_loss)" != "$loss" ]; ok $? "another seed: another loss"

bench run mlp:128 $quick --seeds 2 -q
is $status 0 "two seeds"; is "$(wc -c <"$dir/err")" 0 "-q says nothing"
is "$(grep -c '^mlp:128' "$dir/out")" 2 "a line each"
bench run mlp:128 $quick; like err 'epoch' "not quiet: an epoch line"
grep -q "$(printf '\r')" "$dir/err"; [ $? = 1 ]; ok $? "no carriage returns where no terminal is"

bench run lenet5 $quick --dry-run --json
is $status 0 "--dry-run"; is "$(json "$dir/out" runs 0 params)" 61706 "plans"; is "$(json "$dir/out" runs 0 run)" null "and records nothing"
bench run mlp:128 $quick --to-accuracy 99.9; is $status 7 "a missed target: exit 7"; like err 'target' "and says so"
bench run mlp:128 --data digits --epochs 3 --to-accuracy 20 --json; is $status 0 "a reached target: exit 0"
bench run mlp:128 --data digits --time-budget 0.2 --json; is $status 0 "a time budget"
perl -e 'exit !($ARGV[0] < 10)' "$(json "$dir/out" runs 0 time_s)"; ok $? "is kept"
bench run mlp:512-512 $quick --lr 1e12 --json; is $status 6 "a run that meets NaN: exit 6"
is "$(json "$dir/out" runs 0 status)" failed "failed"
json "$dir/out" runs 0 reason | grep -qE 'step [0-9]+: [a-z0-9]+: '; ok $? "with step, row and op: $(json "$dir/out" runs 0 reason)"
bench run mlp:128 $quick --profile --json; is $status 0 "--profile"
bench results --json; is $status 0 "results --json"
is "$(sqlite3 "$BENCH_DB" 'select count(*) > 5 from layer' 2>/dev/null || echo 1)" 1 "has rows for ops"
bench run mlp:128 $quick --no-record --db "$dir/other.db"; [ ! -e "$dir/other.db" ]; ok $? "--no-record writes no database"
bench run mlp:128 $quick --db /proc/none/x.db; is $status 1 "a database that cannot be: exit 1"; like err 'no-record' "tells the way out"

bench dump lenet5 --data digits --batch 16 --seed 3 -o "$dir/step.safetensors"; is $status 0 "dump"
perl -e 'local $/; open F, "<:raw", $ARGV[0]; my $b = <F>; my $n = unpack("Q<", $b);
    my $h = substr($b, 8, $n); exit !($h =~ /"init.C1.weight"/ && $h =~ /"grad.C3.weight"/ && $h =~ /\[16, ?1, ?32, ?32\]/ && $h =~ /"loss"/)' "$dir/step.safetensors"
ok $? "has inputs, parameters, gradients and loss by name"
bench run lenet5 $quick --batch 16 --init "$dir/step.safetensors" -q; is $status 0 "--init takes it back"
bench run mlp:128 $quick --init "$dir/step.safetensors"; [ $status != 0 ]; ok $? "and another network refuses it"; like err 'is no parameter of this network' "with what it wanted"

bench info lenet5 --json; is $status 0 "info --json"; is "$(json "$dir/out" variants 0 macs)" 416520 "counts"
planned=$(json "$dir/out" variants 0 memory total)
bench run lenet5 --data digits --dry-run --json; is "$(json "$dir/out" runs 0 peak_bytes)" "$planned" "info predicts what a run plans"
bench info lenet5 --batch 1000000; is $status 2 "info with a batch beyond measure"; like err 'beyond 2\^31' "says why"
bench info mlp:keras; is $status 0 "info mlp:keras"; like out '669706' "parameters"
bench list --json; is "$(json "$dir/out" plugins 0 name)" filters "list --json: oldest first"
bench doctor --json; is $status 0 "doctor --json"; perl -e 'exit !($ARGV[0] > 1e8)' "$(json "$dir/out" peaks 0 fma_f32)"; ok $? "measures a peak"
done_testing
