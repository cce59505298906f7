package ringlog;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** Says the type of a record's component in a log: {@code @Typed("text8") String symbol}. */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
public @interface Typed {
    /** Returns the type as a schema writes it. */
    String value();
}
