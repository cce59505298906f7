package ringlog;

/** What failed, why, and what to do, in one line. */
public class RinglogException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final Code code;

    RinglogException(Code code, String message) {
        super(message);
        this.code = code;
    }

    RinglogException(Code code, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
    }

    static RinglogException invalid(String message) {
        return new RinglogException(Code.INVALID, message);
    }

    static RinglogException unusable(Object log, String why) {
        return new RinglogException(Code.UNUSABLE, log + ": not a log that can be used: " + why);
    }

    static RinglogException io(String what, java.io.IOException cause) {
        return new RinglogException(Code.OTHER, what + ": " + reason(cause), cause);
    }

    /** The system's answer without the file's name, which the message has already. */
    private static String reason(java.io.IOException cause) {
        if (cause instanceof java.nio.file.FileSystemException failed && failed.getReason() != null) {
            return failed.getReason();
        }
        if (cause instanceof java.nio.file.AccessDeniedException) {
            return "permission denied";
        }
        return cause.getMessage() == null ? cause.toString() : cause.getMessage();
    }

    /** Returns the code, whose number a program exits with. */
    public Code code() {
        return code;
    }
}
