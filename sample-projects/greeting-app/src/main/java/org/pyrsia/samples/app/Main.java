package org.pyrsia.samples.app;

import java.util.Locale;
import org.pyrsia.samples.greeting.Greeting;

/** Prints a greeting: {@code Main [NAME [LANGUAGE]]}. */
public final class Main {
    private Main() {}

    /**
     * Entry point.
     *
     * @param args a name and a language tag, both optional
     */
    public static void main(String[] args) {
        String name = args.length > 0 ? args[0] : "World";
        Locale locale = args.length > 1 ? Locale.forLanguageTag(args[1]) : Locale.ENGLISH;
        System.out.println(new Greeting().greet(name, locale));
    }
}
