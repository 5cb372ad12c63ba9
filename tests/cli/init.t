#!/bin/sh
# --init: a recurrent network starts from weights that bear the names of PyTorch's LSTM, in PyTorch's
# order of the gates.
. tests/cli/tap.sh
net=${BENCH_BUILD:-build/release}/tests/plugins/bench-recurrent.so

# safetensors FILE NAME:SHAPE:VALUES... writes them; SHAPE and VALUES with commas.
safetensors() {
    perl -e 'my $file = shift; my ($head, $data) = ("", "");
        for (@ARGV) { my ($name, $shape, $values) = split /:/; my $bytes = pack "f<*", split /,/, $values;
            $head .= sprintf "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%d,%d]}", $head ? "," : "",
                $name, $shape, length $data, length($data) + length $bytes; $data .= $bytes }
        open my $f, ">:raw", $file or die; print $f pack("Q<", 2 + length $head), "{$head}", $data' "$@"
}
# The floats of one tensor, with spaces between.
tensor() { # tensor FILE NAME
    perl -MJSON::PP -0777 -e 'my $all = <STDIN>; my $n = unpack "Q<", $all; my $t = decode_json(substr $all, 8, $n)->{$ARGV[0]};
        my ($from, $to) = @{$t->{data_offsets}};
        print join " ", map { sprintf "%g", $_ } unpack "f<*", substr $all, 8 + $n + $from, $to - $from' "$2" <"$1"
}
lstm="lstm.weight_ih:4,2:1,2,3,4,5,6,7,8 lstm.weight_hh:4,1:.5,.25,-.5,-.25 lstm.bias_ih:4:0,1,0,0"
linear="linear.weight:1,1:2 linear.bias:1:-1"

safetensors "$dir/a.safetensors" $lstm lstm.bias_hh:4:1,2,3,4 $linear
bench dump "$net:adding" --init "$dir/a.safetensors" --batch 2 -o "$dir/b.safetensors"
is $status 0 "begins with the weights of a file"
is "$(tensor "$dir/b.safetensors" init.lstm.weight_ih)" "1 2 3 4 5 6 7 8" "lstm.weight_ih"
is "$(tensor "$dir/b.safetensors" init.lstm.weight_hh)" "0.5 0.25 -0.5 -0.25" "lstm.weight_hh"
is "$(tensor "$dir/b.safetensors" init.lstm.bias_hh)" "1 2 3 4" "lstm.bias_hh"
is "$(tensor "$dir/b.safetensors" init.linear.bias)" "-1" "linear.bias"

# The first step by hand: gates i f g o of [x1 x2], the cell from nothing.
bench dump "$net:adding" --data adding:10 --init "$dir/a.safetensors" --batch 1 -o "$dir/c.safetensors"
is $status 0 "another length has the same weights"
want=$(tensor "$dir/c.safetensors" input.values | perl -ne '
    my @x = split; my ($h, $c) = (0, 0); sub gate { 1 / (1 + exp -$_[0]) } sub squash { my $e = exp(2 * $_[0]); ($e - 1) / ($e + 1) }
    while (@x) { my ($u, $v) = splice @x, 0, 2;
        my ($i, $f, $g, $o) = ($u + 2 * $v + .5 * $h + 1, 3 * $u + 4 * $v + .25 * $h + 3, 5 * $u + 6 * $v - .5 * $h + 3, 7 * $u + 8 * $v - .25 * $h + 4);
        $c = gate($f) * $c + gate($i) * squash($g); $h = gate($o) * squash($c) }
    print 2 * $h - 1')
got=$(tensor "$dir/c.safetensors" output)
is "$(awk -v a="$got" -v b="$want" 'BEGIN { d = a - b; print (a != "" && d < 1e-5 && d > -1e-5) ? "same" : a " " b }')" same \
    "and says what the equations say"

bench run "$net:adding" --init "$dir/a.safetensors" --max-steps 5 --threads 1
is $status 0 "and trains on"
safetensors "$dir/d.safetensors" $lstm $linear
bench run "$net:adding" --init "$dir/d.safetensors" --max-steps 5
is $status 2 "without bias_hh: exit 2"; like err "lstm.bias_hh" "names it"
safetensors "$dir/e.safetensors" $lstm lstm.bias_hh:3:1,2,3 $linear
bench run "$net:adding" --init "$dir/e.safetensors" --max-steps 5
is $status 2 "of another shape: exit 2"; like err 'lstm.bias_hh.*\[3\].*\[4\]|lstm.bias_hh.*\[4\].*\[3\]' "names both shapes"
done_testing
