# Writes the words of the SPIR-V module INPUT as hexadecimal numbers, for an #include within braces, to OUTPUT.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "(..)(..)(..)(..)" "0x\\4\\3\\2\\1,\n" words "${bytes}")
file(WRITE ${OUTPUT} "${words}")
