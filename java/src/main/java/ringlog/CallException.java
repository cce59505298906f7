package ringlog;

import java.nio.charset.StandardCharsets;

/** Why a call has no answer: the kind says what may have become of the request. */
public final class CallException extends RinglogException {
    private static final long serialVersionUID = 1;

    /** What became of a call. */
    public enum Kind {
        /** There was no answer in time. The server does not begin a request whose time is over. */
        TIMED_OUT(Code.NO_ANSWER),
        /** The server is gone. The request may have been run, or be run by the next server in its time. */
        GONE(Code.NOT_FOUND),
        /** The handler says that it failed, and why. */
        FAILED(Code.OTHER),
        /** The server died when it had begun the request, which may have been run and is not run again. */
        INTERRUPTED(Code.OTHER),
        /** The request came too late, and was not run. */
        EXPIRED(Code.NO_ANSWER),
        /** The handler broke down. */
        PANICKED(Code.OTHER),
        /** The server knows no such method. */
        NO_METHOD(Code.OTHER),
        /** Request or answer is longer than the other side takes. */
        TOO_LARGE(Code.OTHER);

        private final Code code;

        Kind(Code code) {
            this.code = code;
        }
    }

    private final Kind kind;
    private final byte[] body;

    CallException(Kind kind, String message, byte[] body) {
        super(kind.code, message);
        this.kind = kind;
        this.body = body;
    }

    static CallException of(Kind kind, String message) {
        return new CallException(kind, message, new byte[0]);
    }

    /** Makes the exception that an answer which is none stands for. */
    static CallException of(int status, byte[] body) {
        String said = new String(body, StandardCharsets.UTF_8);
        return switch (status) {
            case Lane.FAILED -> new CallException(Kind.FAILED, "the server failed: " + said, body);
            case Lane.INTERRUPTED -> of(Kind.INTERRUPTED,
                    "the server died over the request, which may have been run; find out, and call again");
            case Lane.EXPIRED -> of(Kind.EXPIRED,
                    "the request came too late and was not run; call again, or wait for longer");
            case Lane.PANICKED -> new CallException(Kind.PANICKED, "the server's handler broke down: " + said, body);
            case Lane.NO_METHOD -> of(Kind.NO_METHOD, "the server knows no such method");
            case Lane.TOO_LARGE -> of(Kind.TOO_LARGE,
                    "request or answer is longer than the other side takes; raise its limit, or send less");
            default -> of(Kind.FAILED, "the answer has status " + status + ", which this library does not know");
        };
    }

    /** Returns what became of the call. */
    public Kind kind() {
        return kind;
    }

    /** Returns the bytes that a handler which failed gave for its caller. */
    public byte[] body() {
        return body.clone();
    }
}
