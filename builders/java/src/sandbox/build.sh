# Runs in the sandbox, after assignments that the builder puts in front (see script.rs). stdout is for the outputs.
set -eu
exec 3>&1 1>&2

# An image of others may have another JDK than its name says, and not have what this script runs.
if [ -n "$check_jdk" ]; then
    for program in chmod df find head sed sha256sum socat sort tar xargs java javac; do
        command -v "$program" > /dev/null || { echo "the image has no $program"; exit 70; }
    done
    jdk=$(java -XshowSettings:properties -version 2>&1 < /dev/null | sed -n 's/^ *java.specification.version = //p')
    [ "${jdk#1.}" = "$check_jdk" ] || { echo "the image has JDK $jdk, the specification asks for JDK $check_jdk"; exit 70; }
fi

# What comes in, one after the other, each as long as announced.
umask 022
mkdir -p "$control/tool" "$control/out" "$control/bin"
head -c "$args_bytes" > "$control/java.args"
head -c "$settings_bytes" > "$control/settings.xml"
head -c "$toolchains_bytes" > "$control/toolchains.xml"
head -c "$launcher_bytes" > "$control/java"
head -c "$commands_bytes" > "$control/commands.sh"
if [ "$tool_bytes" -gt 0 ]; then
    head -c "$tool_bytes" | { tar -xz --strip-components=1 -C "$control/tool" && cat > /dev/null; }
fi

# Files get the modes that a checkout under this umask would have given them: all bits that it leaves.
umask "$umask"
head -c "$source_bytes" | { tar -x -C "$workdir" && cat > /dev/null; }
if [ "$inputs_bytes" -gt 0 ]; then
    head -c "$inputs_bytes" | { tar -x -C "$workdir" && cat > /dev/null; }
fi
chmod -R =rwX "$workdir"
# Where lines end as on Windows, no file can be executed.
if [ "$newline" = crlf ]; then find "$workdir" -type f -exec chmod a-x {} +; fi

# What a command calls when it calls the tool: with the builder's own files, and with a note of how it ended.
if [ "$tool" = gradle ]; then
    if [ -n "$gradle_zip" ]; then
        # What is only read by people would not fit. 1 is a warning: that there is nothing of the kind.
        unzip -q "$workdir/$gradle_zip" -d "$control/tool" -x '*/docs/*' '*/samples/*' '*/src/*' || [ $? -eq 1 ]
        program=$control/tool/gradle-$gradle/bin/gradle
    else
        program=$(command -v gradle) || { echo "the image has no Gradle"; exit 70; }
    fi
    home=$(readlink -f "$program")
    home=${home%/bin/*}
    found=
    for file in "$home/lib"/gradle-*-"$gradle".jar; do if [ -e "$file" ]; then found=$file; fi; done
    [ -n "$found" ] || { echo "the Gradle that is there is not $gradle"; exit 70; }
    mv "$control/settings.xml" "$control/init.gradle"
    # Gradle asks nobody before it has read whom it may trust over TLS. Nobody: a JKS store without an entry, which ends with
    # SHA-1 over its password, the words that the format puts there, and all bytes before.
    printf '\376\355\376\355\000\000\000\002\000\000\000\000\342\150\156\105\373\103\337\244\331\222\335\101\316\266\262\034\143\060\327\222' > "$control/trust.jks"
    # No daemon: it would be there for the next call, with what this one has left in it.
    flags="--no-daemon --console=plain -I $control/init.gradle -Dmaven.repo.local=$repository"
    flags="$flags -Djavax.net.ssl.trustStore=$control/trust.jks -Djavax.net.ssl.trustStorePassword=changeit"
else
    program=$control/tool/bin/mvn
    flags="-B -V $maven_options -s $control/settings.xml"
    if [ -s "$control/toolchains.xml" ]; then flags="$flags -t $control/toolchains.xml"; fi
fi
java_home=$JAVA_HOME
if [ -s "$control/java" ]; then
    # The JDK as it is, but for a launcher that hands on options which no variable can hold.
    java_home=$control/jdk
    mkdir -p "$java_home/bin"
    for file in "$JAVA_HOME"/*; do [ "${file##*/}" = bin ] || ln -s "$file" "$java_home/"; done
    for file in "$JAVA_HOME"/bin/*; do [ "${file##*/}" = java ] || ln -s "$file" "$java_home/bin/"; done
    mv "$control/java" "$java_home/bin/java"
    chmod 755 "$java_home/bin/java"
fi
cat > "$control/bin/$tool" << END
#!/bin/sh
code=0
JAVA_HOME=$java_home "$program" $flags "\$@" || code=\$?
echo "\$code" > "$control/ended"
exit "\$code"
END
chmod 755 "$control/bin/$tool"

# A sandbox whose node was killed has nobody who watches its time.
{ sleep "$seconds"; kill -KILL -1; } < /dev/null > /dev/null 2>&1 3>&- &

# The one way out. A connection to it says that it is ready.
socat -b 65536 "TCP-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=64" \
    "UNIX-CONNECT:$socket" < /dev/null > /dev/null 2>&1 3>&- &
ready=0
while [ "$ready" -lt 100 ]; do
    if socat -u OPEN:/dev/null "TCP:127.0.0.1:$port" 2> /dev/null; then break; fi
    ready=$((ready + 1))
    sleep 0.05
done
[ "$ready" -lt 100 ] || { echo "the forwarder does not listen"; exit 70; }

cd "$workdir"
# From here on the build may do what it likes to this sandbox: if the rest does not come to its end, the code says so.
trap 'exit 71' EXIT
code=0
if [ -s "$control/commands.sh" ]; then
    PATH=$control/bin:$PATH bash "$control/commands.sh" < /dev/null 3>&- || code=$?
else
    "$control/bin/$tool" "$@" < /dev/null 3>&- || code=$?
fi

# Whatever the build has left running ends now, before anything is looked at. What has ended counts until init has taken note
# of it, and after a fork bomb nothing could be started before that.
kill -KILL -1 2> /dev/null || :
for file in /sys/fs/cgroup/pids.current /sys/fs/cgroup/pids/pids.current; do
    tries=0
    while [ -r "$file" ] && read -r count < "$file" && [ "$count" -gt 8 ] && [ "$tries" -lt 1000000 ]; do
        tries=$((tries + 1))
    done
done

# How full the RAM disks are. That of this script may be full too, and it needs a little for what it writes down.
free=$(df -Pk "$workdir" "$repository" "$home" /tmp "$control" | while read -r _ _ _ free _; do echo "$free"; done)
rm -rf "$control/tool" || :

# What the build put into the local repository for the wanted releases.
umask 022
cd "$control/out"
echo "$code" > status
# Which line was run last, and how the tool ended, if it was called.
for note in step ended; do
    if [ -f "$control/$note" ]; then cat "$control/$note" > "$note"; else : > "$note"; fi
done
echo "$free" > free
# Which of its limits the kernel held the build to.
{
    sed -n 's/^oom_kill [1-9].*/memory/p' /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control
    sed -n 's/^max [1-9].*/processes/p' /sys/fs/cgroup/pids.events /sys/fs/cgroup/pids/pids.events
} > limits 2> /dev/null || :
: > byproducts
: > reactor
: > files
if [ "$code" -eq 0 ]; then
    tests='*/test-classes/*'
    if [ "$tool" = gradle ]; then tests='*/build/classes/*/test/*'; fi
    (cd "$workdir" && find . -type f -path "$tests" -name '*.class' -print0 | LC_ALL=C sort -z |
        xargs -0 -r sha256sum) > classes
    if [ -s classes ]; then sha256sum < classes | cut -c 1-64 > byproducts; fi
    # Everything that the reactor attached, by digest.
    if [ "$tool" = gradle ]; then
        # What Gradle downloads lies elsewhere: all of this was published by the build.
        find "$repository" -type f ! -name 'maven-metadata*' | LC_ALL=C sort | while IFS= read -r name; do
            if [ -f "$name" ]; then sha256sum < "$name" | cut -c 1-64; fi
        done
    else
        # Maven notes of each file in its repository where it came from: `>=` is an install, anything between the two a
        # download. (Maven 3.0 has another name for the notes.)
        find "$repository" '(' -name _remote.repositories -o -name _maven.repositories ')' | LC_ALL=C sort |
            while IFS= read -r notes; do
                sed -n 's/>=$//p' "$notes" | while IFS= read -r name; do
                    if [ -f "${notes%/*}/$name" ]; then sha256sum < "${notes%/*}/$name" | cut -c 1-64; fi
                done
            done
    fi > reactor
    for release in $releases; do
        if [ -d "$repository/$release" ]; then
            (cd "$repository" && find "$release" -maxdepth 1 -type f ! -name _remote.repositories ! -name _maven.repositories \
                ! -name 'maven-metadata*' ! -name '*.lastUpdated' ! -name resolver-status.properties)
        fi
    done | LC_ALL=C sort > files
fi
tar -c --format=gnu --no-recursion --hard-dereference --owner=0 --group=0 --numeric-owner -C "$control/out" \
    status step ended free limits byproducts reactor \
    -C "$repository" --verbatim-files-from -T files >&3
trap - EXIT
