#!/bin/sh
# Turns the text on stdin into a C source that defines `const char NAME[]`.
# Usage: embed.sh NAME < text
# Question marks are escaped because two of them can begin a trigraph.
set -eu
printf 'extern const char %s[];\nconst char %s[] =\n' "$1" "$1"
sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/?/\\?/g' -e 's/^/    "/' -e 's/$/\\n"/'
printf '    "";\n'
