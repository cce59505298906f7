package ringlog;

/** What an error comes to as a number: the exit codes of ringlog's programs, and the codes of every language. */
public enum Code {
    /** Anything else: mostly what the operating system said. */
    OTHER(1),
    /** What was asked for cannot be meant. */
    INVALID(2),
    /** Entries were lost. No exception has it: a loss is an outcome. */
    LOST(3),
    /** Another process holds the claim. */
    CLAIMED(4),
    /** There is no such log. */
    NOT_FOUND(5),
    /** What has the name cannot be used as a log. */
    UNUSABLE(6),
    /** An output could not be written. No exception of this library has it. */
    OUTPUT(7),
    /** A call had no answer in time. */
    NO_ANSWER(8);

    private final int number;

    Code(int number) {
        this.number = number;
    }

    /** Returns the number, which a program exits with. */
    public int number() {
        return number;
    }
}
