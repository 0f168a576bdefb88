// A real worker of LiveKit's Node SDK (@livekit/agents), without models; the environment is the Python worker's.
//
// NODE_MODULES is the folder that has @livekit/agents: modules are not found by where this file lies.
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const require = createRequire(join(process.env.NODE_MODULES, "from-here.js"));
const { ServerOptions, cli, defineAgent } = await import(pathToFileURL(require.resolve("@livekit/agents")));

export default defineAgent({
  entry: async (ctx) => {
    const told = ctx.job.metadata ? JSON.parse(ctx.job.metadata) : {};
    await ctx.connect();
    const who = told.participant?.name || told.participant?.identity || "there";
    await ctx.room.localParticipant.setAttributes({
      greeting: `Hello ${who}, this is Node.`,
      job_metadata: ctx.job.metadata,
    });
  },
});

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  cli.runApp(
    new ServerOptions({
      agent: fileURLToPath(import.meta.url),
      agentName: process.env.WORKER_AGENT_NAME,
      host: "127.0.0.1",
      port: Number(process.env.WORKER_PORT),
      numIdleProcesses: 1,
      loadFunc: async () => 0, // the default is the load of the whole machine, which no test can foretell
    }),
  );
}
