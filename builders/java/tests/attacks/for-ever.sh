# Does not end, whoever asks it to.
trap '' HUP INT TERM
echo "running for ever"
while :; do sleep 1; done
