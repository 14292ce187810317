package org.pyrsia.samples.consumer;

import java.util.Locale;
import org.pyrsia.samples.greeting.Greeting;

/** Prints what the library says; the second dependency only has to be found. */
public final class Main {
    private Main() {}

    /**
     * Entry point.
     *
     * @param args none
     */
    public static void main(String[] args) {
        System.out.println(new Greeting().greet("consumer of two repositories", Locale.ENGLISH));
    }
}
