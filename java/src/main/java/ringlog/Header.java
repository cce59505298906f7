package ringlog;

import static ringlog.Layout.*;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** What the creator of a log has said of it, checked; each word is loaded once. */
record Header(
        long capacity,
        long slotSize,
        int entrySize,
        long idHigh,
        long idLow,
        long createdNs,
        long arenaSize,
        int inlineSize,
        int gates,
        boolean skipsAbsent,
        int role,
        int members,
        long base,
        Schema schema) {

    /** Returns where the arena begins. */
    long arenaAt() {
        return roundUp(HEADER_SIZE + capacity * slotSize, PAGE);
    }

    /** Returns the bytes of a record before its body's head; of one without a body, all. */
    int columnsSize() {
        return arenaSize == 0 ? entrySize : entrySize - inlineSize - 8;
    }

    static Header read(String log, FileChannel channel) throws IOException {
        long length = channel.size();
        if (length < VERSION + 8) {
            throw RinglogException.unusable(log, "it has " + length + " bytes, too few for a log");
        }
        Words words = Words.map(channel, FileChannel.MapMode.READ_ONLY, Math.min(length, HEADER_SIZE));
        if (words.acquire(MAGIC) != MAGIC_WORD) {
            throw RinglogException.unusable(log, "it does not begin as one");
        }
        long version = words.relaxed(VERSION);
        if (version != FORMAT) {
            throw new RinglogException(Code.UNUSABLE, log + ": format version " + Long.toUnsignedString(version)
                    + ", and this library knows version " + FORMAT
                    + "; export what is in it with the program that made it, then remove it");
        }
        if (length < HEADER_SIZE) {
            throw sizes(log, length + " bytes are less than the header's " + HEADER_SIZE);
        }
        return check(log, words, length);
    }

    private static Header check(String log, Words words, long length) {
        long role = words.relaxed(ROLE);
        long members = words.relaxed(MEMBERS);
        long base = words.relaxed(BASE);
        boolean hasMembers = role == ROLE_SERVICE || role == ROLE_TOPIC;
        if (role < ROLE_LOG || role > ROLE_TOPIC || (hasMembers ? members < 1 || members > 1024 : members != 0)) {
            throw RinglogException.unusable(log, "role " + Long.toUnsignedString(role) + " with "
                    + Long.toUnsignedString(members) + " members is unknown; use a newer library");
        }
        if (Long.compareUnsigned(base, POSITION_LIMIT) >= 0) {
            throw sizes(log, "base " + Long.toUnsignedString(base) + " is no position");
        }
        long entrySize = words.relaxed(ENTRY_SIZE);
        long arenaSize = words.relaxed(ARENA_SIZE);
        long inlineSize = words.relaxed(INLINE_SIZE);
        if (entrySize < 1 || entrySize > ENTRY_MAX) {
            throw sizes(log, "entry_size " + Long.toUnsignedString(entrySize) + " is not from 1 to " + ENTRY_MAX);
        }
        boolean hasBody = arenaSize != 0 || inlineSize != 0;
        if (hasBody && (!isPowerOfTwo(arenaSize) || arenaSize < PAGE || arenaSize > ARENA_MAX || inlineSize < 8
                || inlineSize % 8 != 0 || entrySize % 8 != 0 || inlineSize > entrySize - 8)) {
            throw sizes(log, "an arena of " + Long.toUnsignedString(arenaSize) + " bytes and "
                    + Long.toUnsignedString(inlineSize) + " in a slot do not go with entry_size " + entrySize);
        }
        long gates = words.relaxed(GATES);
        long absent = words.relaxed(ABSENT);
        if (gates < 0 || gates > 255 || absent < 0 || absent > 1) {
            throw RinglogException.unusable(log, "gates " + Long.toUnsignedString(gates) + " with absent "
                    + Long.toUnsignedString(absent) + " are unknown; use a newer library");
        }
        long capacity = words.relaxed(CAPACITY);
        long slotSize = words.relaxed(SLOT_SIZE);
        if (capacity < 2 || !isPowerOfTwo(capacity)) {
            throw sizes(log, "capacity " + Long.toUnsignedString(capacity) + " is no power of two from 2 on");
        }
        if (slotSize != Layout.slotSize(entrySize)) {
            throw sizes(log, "slot_size " + Long.toUnsignedString(slotSize) + " is not what entry_size " + entrySize
                    + " makes, " + Layout.slotSize(entrySize));
        }
        checkLength(log, capacity, slotSize, arenaSize, length);
        Schema schema = Schema.parse(log, text(log, words), (int) entrySize, (int) inlineSize);
        return new Header(capacity, slotSize, (int) entrySize, words.relaxed(LOG_ID), words.relaxed(LOG_ID + 8),
                words.relaxed(CREATED_NS), arenaSize, (int) inlineSize, (int) gates, absent == 1, (int) role,
                (int) members, base, schema);
    }

    private static void checkLength(String log, long capacity, long slotSize, long arenaSize, long length) {
        long due;
        try {
            due = fileLength(capacity, slotSize, arenaSize);
        } catch (ArithmeticException e) {
            throw sizes(log, capacity + " slots of " + slotSize + " bytes are too many");
        }
        if (due != length) {
            throw sizes(log, "the file has " + length + " bytes, and its header says " + due);
        }
    }

    private static String text(String log, Words words) {
        long length = words.relaxed(SCHEMA_LEN);
        if (length < 0 || length > SCHEMA_MAX) {
            throw sizes(log, "a schema of " + Long.toUnsignedString(length) + " bytes is more than " + SCHEMA_MAX);
        }
        byte[] text = new byte[SCHEMA_MAX];
        words.copyOut(SCHEMA, text, 0, SCHEMA_MAX / 8);
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(text, 0, (int) length)).toString();
        } catch (CharacterCodingException e) {
            throw RinglogException.unusable(log, "its schema is not UTF-8");
        }
    }

    private static RinglogException sizes(String log, String why) {
        return new RinglogException(Code.UNUSABLE, log + ": sizes that do not fit: " + why);
    }
}
