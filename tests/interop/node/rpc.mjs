// One call a line on standard input, one answer a line on standard output: how the tests ask a client to do something.
import { createInterface } from "node:readline";

export async function serve(calls) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { call, given } = JSON.parse(line);
    let answer;
    try {
      answer = { result: (await calls[call](given)) ?? null };
    } catch (error) {
      // `code` and `error` are what both libraries put on their errors; the cause carries what the check compared.
      const { code, error: oauth, message } = error;
      answer = { refused: { code: code ?? error.name, error: oauth ?? null, message, cause: String(error.cause?.code ?? "") } };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

export async function importKey(pem) {
  const der = Buffer.from(pem.replace(/-----[A-Z ]+-----|\s/g, ""), "base64");
  return crypto.subtle.importKey("pkcs8", der, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
}
