# Takes memory until there is none, and then says that all is well.
perl -e '$x .= "x" x 1_000_000 while 1'
exit 0
