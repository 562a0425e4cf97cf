package com.example;

import org.apache.commons.cli.CommandLine;
import org.apache.commons.cli.DefaultParser;
import org.apache.commons.cli.Options;
import org.apache.commons.cli.ParseException;

/** Says hello to whom --name names. */
public final class Hello {
	public static void main(String[] args) throws ParseException {
		Options options = new Options().addOption("n", "name", true, "who is greeted");
		CommandLine line = new DefaultParser().parse(options, args);
		System.out.println("Hello from Java, " + line.getOptionValue("name", "you"));
	}
}
