#!/bin/sh
# Writes a C source with the list of web/'s texts (src/nginx/web.h).
# Usage: embed-list.sh web/NAME…
set -eu
symbol() {
    printf 'x402_%s' "$1" | tr './-' '___'
}
printf '#include "nginx/web.h"\n'
for file; do
    printf 'extern const char %s[];\n' "$(symbol "$file")"
done
printf 'const struct x402_web_text x402_web_texts[] = {\n'
for file; do
    printf '    {"%s", %s},\n' "${file#web/}" "$(symbol "$file")"
done
printf '    {0, 0}};\n'
