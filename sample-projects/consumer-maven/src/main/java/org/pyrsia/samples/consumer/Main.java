package org.pyrsia.samples.consumer;

import java.util.Locale;
import org.pyrsia.samples.greeting.Greeting;

/** Prints what the library says. */
public final class Main {
    private Main() {}

    /**
     * Entry point.
     *
     * @param args none
     */
    public static void main(String[] args) {
        System.out.println(new Greeting().greet("consumer", Locale.ENGLISH));
    }
}
