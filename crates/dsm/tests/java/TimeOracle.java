import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.text.ParseException;
import java.text.SimpleDateFormat;
import java.time.Instant;
import java.util.Calendar;
import java.util.Date;
import java.util.Locale;
import java.util.TimeZone;

/**
 * What the JDK makes of the rows of time-cases.tsv.
 *
 * Run as {@code java TimeOracle.java < time-cases.tsv > fresh.tsv}: the table comes out again with its column `java`
 * filled in. Rows of another dialect, comments and the header are passed through.
 */
public class TimeOracle {
    private static final int DIALECT = 0, PATTERN = 1, TEXT = 2, RECEIVED = 3, ZONE = 4, JAVA = 5, COLUMNS = 8;

    public static void main(String[] arguments) throws Exception {
        Locale.setDefault(Locale.US);
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line; (line = in.readLine()) != null; ) {
            String[] row = line.split("\t", -1);
            if (row[DIALECT].equals("sdf")) {
                if (row.length != COLUMNS) {
                    throw new IllegalArgumentException("not " + COLUMNS + " columns: " + line);
                }
                row[JAVA] = judge(row);
                line = String.join("\t", row);
            }
            out.print(line + "\n");
        }
        out.flush();
    }

    private static String judge(String[] row) {
        SimpleDateFormat format;
        try {
            format = new SimpleDateFormat(row[PATTERN].replace("\\t", "\t"), Locale.US);
        } catch (IllegalArgumentException e) {
            return "bad pattern";
        }
        format.setTimeZone(TimeZone.getTimeZone(row[ZONE]));
        // What the constructor does with the current time.
        Calendar window = Calendar.getInstance(TimeZone.getTimeZone(row[ZONE]));
        window.setTime(Date.from(Instant.parse(row[RECEIVED])));
        window.add(Calendar.YEAR, -80);
        format.set2DigitYearStart(window.getTime());
        try {
            return format.parse(row[TEXT].replace("\\t", "\t")).toInstant().toString();
        } catch (ParseException e) {
            return "error";
        }
    }
}
