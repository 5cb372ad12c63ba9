#!/bin/sh
# Data: what is found, what is refused and recorded as failed, and what runs without any.
. tests/cli/tap.sh
export XDG_DATA_HOME="$dir/share" XDG_CACHE_HOME="$dir/cache" BENCH_DATA="$dir/data"

# Without data.
bench run lenet5 --synthetic --max-steps 12 --threads 1 --json
is $status 0 "--synthetic"
is "$(json "$dir/out" runs 0 dataset)" noise "on noise"
is "$(json "$dir/out" runs 0 synthetic)" true "that is marked"
is "$(json "$dir/out" runs 0 steps)" 12 "--max-steps counts"
is "$(json "$dir/out" runs 0 metrics accuracy)" null "no accuracy"
is "$(json "$dir/out" runs 0 best accuracy)" null "nor a best one"
like err 'timing only, no accuracy' "and says so"
bench run lenet5 --synthetic --max-steps 12 --threads 1
like out 'noise \(synthetic\) +–' "the table: synthetic, quality –"
bench results --json
is "$(json "$dir/out" runs 0 quality)" null "the database: no quality"
is "$(json "$dir/out" runs 0 synthetic)" true "and synthetic"
bench run lenet5 --synthetic --data digits; is $status 2 "--synthetic and --data contradict each other"
like err 'expected no --data beside it' "and the message says so"
bench run lenet5 --synthetic --to-accuracy 90; is $status 2 "--synthetic and --to-accuracy too"
bench profile lenet5 --synthetic --steps 5 --threads 1 --no-record
is $status 0 "profile --synthetic"; like err 'timing only' "is marked"

# By the shape of the network's image.
bench run resnet:20 --max-steps 1
is $status 6 "CIFAR-10 is nowhere"
like err 'wants images of 3 x 32 x 32.*CIFAR-10 is not here \(looked in .*/data/cifar10, .*--data DIR' "where it was looked for, and how to give it"
bench run resnet:50 --max-steps 1
is $status 6 "nothing has images of 3 x 224 x 224"
like err '3 channels, 224 x 224: .*--data DIR.*--synthetic' "what can be done"

# Bad data is a failed run that is recorded.
mkdir -p "$dir/odd"
for i in 1 2 3 4 5; do head -c 3073 /dev/zero >"$dir/odd/data_batch_$i.bin"; done
head -c 3074 /dev/zero >"$dir/odd/test_batch.bin"
bench run resnet:20 --data "$dir/odd" --json
is $status 6 "a CIFAR file of odd length: exit 6"
is "$(json "$dir/out" runs 0 status)" failed "failed"
like out 'test_batch.bin.: expected a multiple of 3073 bytes \(records of CIFAR-10\), found 3074' "by name, expected and found"
mkdir -p "$dir/one/cat"
cp /dev/null "$dir/one/cat/a.jpg"
bench run resnet:20 --data "$dir/one"
is $status 6 "a folder with one class: exit 6"; like err "expected two classes or more, a folder each, found one: 'cat'" "says so"
mkdir -p "$dir/one/dog"
cp /dev/null "$dir/one/dog/a.jpg"
cp /dev/null "$dir/one/dog/b.jpg"
bench run resnet:20 --data "$dir/one"
is $status 6 "an empty file for a picture: exit 6"; like err "/cat/a.jpg.: expected a JPEG or PNG image, found 0 bytes" "names the file"
mkdir -p "$dir/nothing"
bench run resnet:20 --data "$dir/nothing"
is $status 6 "an empty folder: exit 6"; like err "holds no images: expected" "says what was expected"
bench results --all --json
is "$(json "$dir/out" runs 0 status)" failed "recorded as failed"
bench run resnet:20 --data "$dir/nowhere"; is $status 2 "no such folder: exit 2"
done_testing
