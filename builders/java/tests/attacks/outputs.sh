# Makes the files of a release without a build tool, each in another wrong way.
release=/var/maven/.m2/repository/org/example/tiny/1.0
mkdir -p "$release"
cp pom.xml "$release/tiny-1.0.pom"
jar=$release/tiny-1.0.jar
echo built > "$jar"
case $1 in
    good) ;;
    special)
        # What is no file of its own is left out; a second name of a file is a file.
        ln "$jar" "$release/tiny-1.0-linked.jar"
        ln -s /etc/passwd "$release/tiny-1.0-link.jar"
        mkfifo "$release/tiny-1.0-pipe.jar"
        mkdir "$release/tiny-1.0-folder.jar"
        echo x > "$release/tiny-1.0-folder.jar/tiny-1.0-inner.jar"
        ;;
    leaves-running)
        # Two that outlive the build. One waits for its end, and then changes what it made.
        setsid bash -c 'trap "" HUP TERM; until [ -s /run/pyrsia/out/status ]; do :; done; echo changed > "$0"' "$jar" &
        setsid sleep 1000 &
        ;;
    link) ln -sf /etc/passwd "$jar" ;;
    folder-link) rm -r "$release" && ln -s /etc "$release" ;;
    line-in-name) echo x > "$release/"$'tiny-1.0.jar\n..' ;;
    unreadable) chmod 000 "$jar" ;;
    no-place) rm -r /run/pyrsia/out ;;
    stream)
        # What the outputs go through is open to every process of the account.
        echo garbage > /proc/1/fd/1 || exit 9
        ;;
    killed) kill -KILL -1 ;;
    large) truncate -s 1T "$jar" ;;
    many) for number in $(seq 20); do cp "$jar" "$release/tiny-1.0-$number.jar"; done ;;
esac
