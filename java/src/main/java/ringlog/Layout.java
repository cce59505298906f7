package ringlog;

/** Offsets and sizes of a log's header, as docs/format.md has them. */
final class Layout {
    static final int READERS = 8;

    static final long WRITE_PTR = 0x000;
    static final long READ_PTRS = 0x040;
    static final long MAGIC = 0x080;
    static final long VERSION = 0x088;
    static final long CAPACITY = 0x090;
    static final long SLOT_SIZE = 0x098;
    static final long ENTRY_SIZE = 0x0A0;
    static final long LOG_ID = 0x0A8;
    static final long CREATED_NS = 0x0B8;
    static final long SCHEMA_LEN = 0x0C0;
    static final long ARENA_SIZE = 0x0C8;
    static final long INLINE_SIZE = 0x0D0;
    static final long GATES = 0x0D8;
    static final long ABSENT = 0x0E0;
    static final long ROLE = 0x0E8;
    static final long MEMBERS = 0x0F0;
    static final long BASE = 0x0F8;
    static final long SOURCE_ID = 0x100;

    static final long WRITER_EPOCH = 0x180;
    static final long WRITER_STATE = 0x188;
    static final long WRITER_ATTACHED_NS = 0x190;
    static final long WRITER_PID = 0x198;
    static final long WRITER_BOOT_ID = 0x1A0;
    static final long WRITER_HEARTBEAT_NS = 0x1B0;
    static final long WRITER_PID_NS = 0x1B8;
    static final long WRITER_SYNCED = 0x1C0;
    static final long WRITER_WAITING_FOR = 0x1C8;
    static final long WRITER_WAITING_SINCE_NS = 0x1D0;
    static final long SLEEPERS = 0x200;
    static final long ROOM = 0x280;
    static final long HORIZON = 0x300;

    /** The line of reader i is here + 256 i; what follows counts from its beginning. */
    static final long READER_LINES = 0x400;
    static final long READER_PID = 0x00;
    static final long READER_ATTACHED_NS = 0x08;
    static final long READER_COMMIT_NS = 0x10;
    static final long READER_STATE = 0x18;
    static final long READER_PID_NS = 0x20;
    static final long READER_BEGAN = 0x28;
    static final long READER_MISSED = 0x30;
    static final long READER_WAIVED = 0x38;
    static final long READER_OUTPUT_FILE = 0x40;
    static final long READER_CHECKPOINTS = 0x80;
    static final long READER_CALLS_TAKEN = 0xC0;
    static final long READER_CALLS_ANSWERED = 0xC8;
    static final long READER_CALLS_SERVED = 0xD0;
    static final long READER_CALLS_EXPIRED = 0xD8;
    static final long READER_CALLS_INTERRUPTED = 0xE0;

    /** A checkpoint has 32 bytes; these count from its beginning. */
    static final long CHECKPOINT_LOST = 0x08;
    static final long CHECKPOINT_LAPS = 0x10;
    static final long CHECKPOINT_MARK = 0x18;

    static final long SCHEMA = 0xC00;
    static final int SCHEMA_MAX = 2560;

    /** The notes of reader i are here + 320 i. */
    static final long NOTES = 0x1600;
    static final long NOTES_LOST_FROM = 0x00;
    static final long NOTES_LOST_TO = 0x08;
    static final long NOTES_LOST_NS = 0x10;

    static final int HEADER_SIZE = 0x2000;
    static final int PAGE = 4096;

    /** The bytes {@code RINGLOG1} as a little-endian word. */
    static final long MAGIC_WORD = 0x31474F4C474E4952L;
    static final long FORMAT = 3;

    /** Positions and places stay below this. */
    static final long POSITION_LIMIT = 1L << 62;
    /** A position that is none: the checkpoint counts for no read pointer. */
    static final long NO_POSITION = -1;

    static final int ROLE_LOG = 0;
    static final int ROLE_SERVICE = 1;
    static final int ROLE_LANE = 2;
    static final int ROLE_TOPIC = 3;

    static final long ENTRY_MAX = 1 << 20;
    static final long ARENA_MAX = 1L << 32;

    private Layout() {}

    static long readerLine(int id) {
        return READER_LINES + 256L * id;
    }

    static long readPointer(int id) {
        return READ_PTRS + 8L * id;
    }

    static long roundUp(long value, long powerOfTwo) {
        return (value + powerOfTwo - 1) & -powerOfTwo;
    }

    static boolean isPowerOfTwo(long value) {
        return value > 0 && (value & (value - 1)) == 0;
    }

    /** The bytes from one slot to the next. */
    static long slotSize(long entrySize) {
        long used = 8 + roundUp(entrySize, 8);
        return used > PAGE ? roundUp(used, PAGE) : Long.highestOneBit(2 * used - 1);
    }

    /** The length of the file, for values that {@link Header} has checked. */
    static long fileLength(long capacity, long slotSize, long arenaSize) {
        long slots = Math.addExact(HEADER_SIZE, Math.multiplyExact(capacity, slotSize));
        return arenaSize == 0 ? slots : Math.addExact(roundUp(slots, PAGE), arenaSize);
    }
}
