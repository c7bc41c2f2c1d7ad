# What of a linked firmware can panic. tests/no-panics and tests/boards source this file; it needs `readelf` and `c++filt` (binutils).

# references ELF: a line for each reference, with the function that holds it. The linker leaves relocations in the file
# (--emit-relocs); functions that only panic themselves, in core, do not count.
references() {
    { readelf -sW "$1" && echo RELOCATIONS && readelf -rW "$1"; } | awk '
        function panics(name) {
            return name ~ /4core9panicking|slice_index_fail|slice_error_fail|len_mismatch_fail|unwrap_failed|expect_failed|panic_already/
        }
        function number(text,   at, value) {
            for (at = 1; at <= length(text); at++) value = value * 16 + index("0123456789abcdef", substr(text, at, 1)) - 1
            return value
        }
        /^RELOCATIONS/ { relocations = 1; next }
        !relocations && $4 == "FUNC" { at = number($2); at -= at % 2; begin[functions] = at; end[functions] = at + $3; name[functions++] = $8 }
        relocations && /^Relocation section/ { code = /\.rel.\.text|\.rela\.text|\.rel\.text/ }
        relocations && code && panics($5) {
            at = number($1)
            for (f = 0; f < functions; f++) if (begin[f] <= at && at < end[f]) break
            if (f < functions && !panics(name[f])) print name[f]
        }'
}

# told: such lines, demangled and counted, the most frequent first.
told() {
    c++filt | sed 's/::h[0-9a-f]\{16\}$//' | sort | uniq -c | sort -rn
}
