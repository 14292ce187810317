# Writes a log without an end, of lines that are empty.
echo "writing"
yes ''
