import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

import javax.servlet.DispatcherType;
import javax.servlet.FilterChain;
import javax.servlet.ServletException;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletRequestWrapper;
import javax.servlet.http.HttpServletResponse;

import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.servlet.FilterHolder;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;
import org.eclipse.jetty.servlets.DoSFilter;

/**
 * Serves mirror topics on loopback behind Jetty's DoSFilter, which filters requests only, and not those that it
 * took up again itself, as in rest-utils. It prints its port, and ends when standard input does.
 * A topic's first change is accepted; another one is answered as for a mirror that has stopped already.
 *
 * <p>Arguments: requests a second for each client address; for all together; what delayMs is (-1 rejects, 0
 * throttles); whether the filters write their header; how many milliseconds an answer takes. A limit of 0 is
 * none.
 */
public class Limited {
    /**
     * Counts all clients as one, by showing the filter one address for all. Jetty 9.4.57 does not ask
     * extractUserId, which the filter of rest-utils overrides.
     */
    public static class ForAll extends DoSFilter {
        @Override
        protected void doFilter(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
                throws IOException, ServletException {
            super.doFilter(new HttpServletRequestWrapper(request) {
                @Override
                public String getRemoteAddr() {
                    return "127.0.0.0";
                }
            }, response, chain);
        }
    }

    public static void main(String[] args) throws Exception {
        int perClient = Integer.parseInt(args[0]);
        int perServer = Integer.parseInt(args[1]);
        long work = Long.parseLong(args[4]);

        ServletContextHandler context = new ServletContextHandler();
        context.setContextPath("/");
        if (perClient > 0) {
            context.addFilter(limit(new DoSFilter(), perClient, args), "/*", EnumSet.of(DispatcherType.REQUEST));
        }
        if (perServer > 0) {
            context.addFilter(limit(new ForAll(), perServer, args), "/*", EnumSet.of(DispatcherType.REQUEST));
        }
        ServletHolder servlet = new ServletHolder("default", new Mirrors(work));
        servlet.setAsyncSupported(true);
        context.addServlet(servlet, "/*");

        Server server = new Server();
        ServerConnector connector = new ServerConnector(server);
        connector.setHost("127.0.0.1");
        server.addConnector(connector);
        server.setHandler(context);
        server.start();
        System.out.println(connector.getLocalPort());
        while (System.in.read() >= 0) {
            // the parent is there
        }
        server.stop();
    }

    private static FilterHolder limit(DoSFilter filter, int perSecond, String[] args) {
        FilterHolder holder = new FilterHolder(filter);
        holder.setAsyncSupported(true);
        holder.setInitParameter("maxRequestsPerSec", String.valueOf(perSecond));
        holder.setInitParameter("delayMs", args[2]);
        holder.setInitParameter("insertHeaders", args[3]);
        return holder;
    }

    private static class Mirrors extends HttpServlet {
        private static final Pattern NAMES = Pattern.compile("\"mirror_topic_names\"\\s*:\\s*\\[([^\\]]*)\\]");
        private static final Pattern NAME = Pattern.compile("\"([^\"]*)\"");

        private final Set<String> stopped = ConcurrentHashMap.newKeySet();
        private final long work;

        Mirrors(long work) {
            this.work = work;
        }

        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
            try {
                Thread.sleep(work);
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
            if (request.getParameter("error") != null) { // an error of the application's own
                response.sendError(Integer.parseInt(request.getParameter("error")));
                return;
            }
            String body = new String(request.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            boolean dryRun = "true".equals(request.getParameter("validate_only"));
            StringBuilder rows = new StringBuilder();
            Matcher names = NAMES.matcher(body);
            if (names.find()) {
                rows.append(NAME.matcher(names.group(1)).results().map(name -> row(name.group(1), dryRun))
                        .collect(Collectors.joining(",")));
            }
            response.setContentType("application/json");
            response.getOutputStream().write(("{\"kind\":\"KafkaAlterMirrorsDataList\",\"metadata\":{\"self\":\"\","
                    + "\"next\":null},\"data\":[" + rows + "]}").getBytes(StandardCharsets.UTF_8));
        }

        private String row(String topic, boolean dryRun) {
            boolean accepted = dryRun ? !stopped.contains(topic) : stopped.add(topic);
            String error = accepted ? "null,\"error_message\":null"
                    : "400,\"error_message\":\"Topic '" + topic + "' has already stopped its mirror from 'dr-link'\"";
            return "{\"kind\":\"AlterMirrorsData\",\"metadata\":{\"self\":\"\",\"resource_name\":null},"
                    + "\"mirror_topic_name\":\"" + topic + "\",\"mirror_lags\":[],\"messages_truncated\":-1,"
                    + "\"partition_level_truncation_data\":[],\"error_code\":" + error + "}";
        }
    }
}
