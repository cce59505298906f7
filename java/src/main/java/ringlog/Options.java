package ringlog;

import static ringlog.Layout.*;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermission;
import java.security.SecureRandom;
import java.util.EnumSet;
import java.util.Set;

/** How a log is made or opened: what {@link Log#options} gives. */
public final class Options {
    private static final SecureRandom RANDOM = new SecureRandom();

    private long capacity = 1024;
    private boolean isCapacityAsked;
    private int mode = 0600;
    private long owner = -1;
    private int gates;
    private boolean skipsAbsent;
    private long arena = 8 << 20;
    private long inline = -1;
    private int role = ROLE_LOG;
    private int members;

    Options() {}

    /** Sets the number of slots, a power of two; 1024 unless asked otherwise. */
    public Options capacity(long slots) {
        capacity = slots;
        isCapacityAsked = true;
        return this;
    }

    /** Sets the permissions of a log that is made; 0600 unless asked otherwise. */
    public Options mode(int permissions) {
        mode = permissions;
        return this;
    }

    /** Believes a log that belongs to this user id too; without it, only to this process's user or to root. */
    public Options owner(long uid) {
        owner = uid;
        return this;
    }

    /** Makes the log lossless: its writer overwrites nothing that these readers have not committed. */
    public Options lossless(int... readers) {
        gates = 0;
        for (int reader : readers) {
            if (reader < 0 || reader >= READERS) {
                throw RinglogException.invalid("reader " + reader + ": there are readers 0 to " + (READERS - 1));
            }
            gates |= 1 << reader;
        }
        return this;
    }

    /** Lets the writer of a lossless log go on without a reader that was there and is gone. */
    public Options skipAbsent() {
        skipsAbsent = true;
        return this;
    }

    /** Sets the bytes of the arena, a power of two from 4 KiB to 4 GiB; 8 MiB unless asked otherwise. */
    public Options arena(long bytes) {
        arena = bytes;
        return this;
    }

    /** Sets the bytes of a body that a slot holds; without it, what makes a slot of 128 bytes. */
    public Options inline(long bytes) {
        inline = bytes;
        return this;
    }

    Options role(int role, int members) {
        this.role = role;
        this.members = members;
        return this;
    }

    /**
     * Opens the log of a name in shared memory.
     *
     * @throws RinglogException NOT_FOUND if there is none, UNUSABLE if it is none
     */
    public Log open(String name) {
        return open(Name.of(name));
    }

    /** Opens the log in a file, as {@link #open(String)}. */
    public Log open(Path file) {
        return open(Name.of(file));
    }

    Log open(Name name) {
        return new Log(name, Segment.open(name.toString(), name.path(), owner));
    }

    /**
     * Makes a log in shared memory, and opens it.
     *
     * @throws RinglogException if the name is taken: nothing is ever replaced
     */
    public Log create(String name, Schema schema) {
        return create(Name.of(name), schema);
    }

    /** Makes a log in a file, as {@link #create(String, Schema)}. */
    public Log create(Path file, Schema schema) {
        return create(Name.of(file), schema);
    }

    Log create(Name name, Schema schema) {
        make(name, schema);
        return open(name);
    }

    /**
     * Opens a log in shared memory, or makes it.
     *
     * @throws RinglogException UNUSABLE if it is there with other columns, another capacity or other gates
     */
    public Log openOrCreate(String name, Schema schema) {
        return openOrCreate(Name.of(name), schema);
    }

    /** Opens a log in a file, or makes it, as {@link #openOrCreate(String, Schema)}. */
    public Log openOrCreate(Path file, Schema schema) {
        return openOrCreate(Name.of(file), schema);
    }

    Log openOrCreate(Name name, Schema schema) {
        while (true) {
            try {
                Log log = open(name);
                try {
                    compare(log, schema);
                    return log;
                } catch (RuntimeException e) {
                    log.close();
                    throw e;
                }
            } catch (RinglogException e) {
                if (e.code() != Code.NOT_FOUND) {
                    throw e;
                }
            }
            try {
                make(name, schema);
            } catch (RinglogException e) {
                if (!(e.getCause() instanceof FileAlreadyExistsException)) {
                    throw e;
                }
            }
        }
    }

    private void compare(Log log, Schema schema) {
        Header header = log.segment().header();
        String why = header.schema().difference(schema);
        if (why != null) {
            throw new RinglogException(Code.UNUSABLE, log.name() + ": another schema: " + why
                    + "; use another name, or remove the log (ringlog rm) once its readers are done");
        }
        if (isCapacityAsked && header.capacity() != capacity) {
            throw new RinglogException(Code.UNUSABLE, log.name() + ": sizes that do not fit: it has "
                    + header.capacity() + " slots, and " + capacity + " were asked for");
        }
        if (header.gates() != gates || header.skipsAbsent() != skipsAbsent) {
            throw new RinglogException(Code.UNUSABLE, log.name() + ": other gates: its writer waits for readers "
                    + Log.gates(header.gates()) + ", and " + Log.gates(gates) + " were asked for");
        }
        if (header.role() != role) {
            throw new RinglogException(Code.UNUSABLE, log.name() + ": it has role " + header.role() + ", and " + role
                    + " was asked for; use another name");
        }
    }

    /** Makes the file as docs/format.md says: whole before it has its name. */
    private void make(Name name, Schema schema) {
        if (capacity < 2 || !isPowerOfTwo(capacity)) {
            throw RinglogException.invalid("a capacity of " + capacity + ": a power of two, at least 2");
        }
        Host.checkBootId();
        long arenaSize = schema.hasBody() ? arena : 0;
        long inlineSize = schema.hasBody() ? inlineFor(schema) : 0;
        long entrySize = schema.hasBody() ? schema.columnsSize() + 8 + inlineSize : schema.columnsSize();
        long length;
        try {
            length = fileLength(capacity, slotSize(entrySize), arenaSize);
        } catch (ArithmeticException e) {
            throw RinglogException.invalid("a capacity of " + capacity + ": too many slots");
        }
        Path path = name.path();
        Path directory = path.toAbsolutePath().getParent();
        Path half = directory.resolve(".ringlog-" + Host.PID + "-" + Long.toHexString(RANDOM.nextLong()));
        try {
            try (FileChannel channel = FileChannel.open(half, Set.of(StandardOpenOption.CREATE_NEW,
                    StandardOpenOption.READ, StandardOpenOption.WRITE))) {
                Files.setPosixFilePermissions(half, permissions());
                allocate(channel, length);
                say(channel, schema, entrySize, arenaSize, inlineSize);
                if (!name.isShared()) {
                    channel.force(true);
                }
            }
            Files.createLink(path, half);
            if (!name.isShared()) {
                try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
                    channel.force(true);
                }
            }
        } catch (FileAlreadyExistsException e) {
            throw new RinglogException(Code.OTHER, name + ": exists already; open it, or remove it first", e);
        } catch (NoSuchFileException e) {
            throw RinglogException.io(name + ": cannot be made: there is no directory " + directory, e);
        } catch (IOException e) {
            throw RinglogException.io(name + ": cannot be made, with " + length + " bytes", e);
        } finally {
            try {
                Files.deleteIfExists(half);
            } catch (IOException e) {
                // The directory went away, and the file with it.
            }
        }
    }

    private long inlineFor(Schema schema) {
        if (!isPowerOfTwo(arena) || arena < PAGE || arena > ARENA_MAX) {
            throw RinglogException.invalid("an arena of " + arena + " bytes: a power of two from 4096 to 2^32");
        }
        long before = schema.columnsSize() + 16;
        long bytes = inline >= 0 ? roundUp(Math.max(inline, 8), 8) : slotSize(Math.max(120, before)) - before;
        if (schema.columnsSize() + 8 + bytes > ENTRY_MAX) {
            throw RinglogException.invalid("a body of " + bytes + " bytes in a slot: with its columns at most " + ENTRY_MAX);
        }
        return bytes;
    }

    private Set<PosixFilePermission> permissions() {
        var permissions = EnumSet.noneOf(PosixFilePermission.class);
        PosixFilePermission[] all = PosixFilePermission.values(); // from the owner's r down to others' x
        for (int i = 0; i < all.length; i++) {
            if ((mode >> all.length - 1 - i & 1) == 1) {
                permissions.add(all[i]);
            }
        }
        return permissions;
    }

    /** Has all bytes, by writing them: so a full disk is met here, and not at an append. */
    private static void allocate(FileChannel channel, long length) throws IOException {
        ByteBuffer zeros = ByteBuffer.allocateDirect((int) Math.min(length, 1 << 20));
        for (long at = 0; at < length; ) {
            zeros.limit((int) Math.min(zeros.capacity(), length - at)).position(0);
            at += channel.write(zeros, at);
        }
    }

    private void say(FileChannel channel, Schema schema, long entrySize, long arenaSize, long inlineSize)
            throws IOException {
        Words words = Words.map(channel, FileChannel.MapMode.READ_WRITE, HEADER_SIZE);
        byte[] text = schema.bytes();
        words.relaxed(VERSION, FORMAT);
        words.relaxed(CAPACITY, capacity);
        words.relaxed(SLOT_SIZE, slotSize(entrySize));
        words.relaxed(ENTRY_SIZE, entrySize);
        words.relaxed(LOG_ID, RANDOM.nextLong());
        words.relaxed(LOG_ID + 8, RANDOM.nextLong());
        words.relaxed(CREATED_NS, Host.wallNs());
        words.relaxed(SCHEMA_LEN, text.length);
        words.relaxed(ARENA_SIZE, arenaSize);
        words.relaxed(INLINE_SIZE, inlineSize);
        words.relaxed(GATES, gates);
        words.relaxed(ABSENT, skipsAbsent ? 1 : 0);
        words.relaxed(ROLE, role);
        words.relaxed(MEMBERS, members);
        words.copyIn(SCHEMA, text, 0, text.length);
        words.relaxed(WRITER_BOOT_ID, Host.BOOT_ID[0]);
        words.relaxed(WRITER_BOOT_ID + 8, Host.BOOT_ID[1]);
        words.release(MAGIC, MAGIC_WORD);
    }
}
