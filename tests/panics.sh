# What of a linked firmware can panic. tests/no-panics and tests/boards source this file; it needs `readelf`, `addr2line` and `c++filt`
# (binutils), for any instruction set.

# calls ELF: a line for each reference, its address and the function that holds it, which may lie in flash or in RAM. The linker leaves
# relocations in the file (--emit-relocs); functions that only panic themselves, in core, do not count.
calls() {
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
        # What counts is that a function is there: one that runs in RAM is in .rwtext or .data. These have no addresses of the program.
        relocations && /^Relocation section/ { placed = !/\.debug|\.eh_frame|\.comment/ }
        relocations && placed && panics($5) {
            at = number($1)
            for (f = 0; f < functions; f++) if (begin[f] <= at && at < end[f]) break
            if (f < functions && !panics(name[f])) print $1, name[f]
        }'
}

# references ELF: the function of each reference.
references() {
    calls "$1" | cut -d' ' -f2
}

# origins ELF: the source file of each reference. The compiler puts functions into one another: it is the innermost one's that is not
# the standard library's, or the standard library's where such a function stands for itself. Of a line that nobody knows "?" is left.
origins() {
    calls "$1" | cut -d' ' -f1 | xargs -r addr2line -a -i -e "$1" | sed 's/ (discriminator.*//' | awk '
        function tell() { if (file) print file }
        /^0x/ { tell(); file = ""; found = 0; next }
        !found { file = $0; sub(/:0$/, ":?", file); sub(/:[^:?]*$/, "", file); found = file !~ /\/library\/(alloc|core)\/src\// }
        END { tell() }'
}

# told: such lines, demangled and counted, the most frequent first.
told() {
    c++filt | sed 's/::h[0-9a-f]\{16\}$//' | sort | uniq -c | sort -rn
}
