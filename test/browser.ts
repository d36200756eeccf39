// SPDX-License-Identifier: BSD-2-Clause
/** Debian's Chromium, driven by playwright-core. */

import { spawn } from "node:child_process";
import { type Browser as Connection, chromium, type Page } from "playwright-core";
import { TemporaryFolder } from "./support.ts";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--hide-scrollbars",
  "--remote-debugging-port=0",
];

/** A browser with a profile of its own, for as long as a test needs it. */
export class Browser implements AsyncDisposable {
  private constructor(
    private readonly child: ReturnType<typeof spawn>,
    private readonly folder: TemporaryFolder,
    private readonly connection: Connection,
  ) {}

  static async start(): Promise<Browser> {
    const folder = new TemporaryFolder();
    const child = spawn("/usr/bin/chromium", [...FLAGS, `--user-data-dir=${folder.path}`, "about:blank"], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, HOME: folder.path },
    });
    let said = "";
    const address = await new Promise<string>((resolve, reject) => {
      child.stderr!.on("data", (data) => {
        const found = /^DevTools listening on (ws:\S+)$/m.exec(said += data)?.[1];
        if (found) resolve(found);
      });
      child.on("error", reject);
      child.on("exit", (status) => reject(new Error(`chromium ended with ${status}: ${said}`)));
    });
    return new Browser(child, folder, await chromium.connectOverCDP(address));
  }

  /**
   * Opens a file. Whatever the page reports as wrong, refuses by its policy, or asks the network for, is in `wrong`.
   */
  async open(
    path: string,
    { width = 1280, height = 800, dark = false, hash = "" }: { width?: number; height?: number; dark?: boolean; hash?: string } =
      {},
  ): Promise<{ page: Page; wrong: string[]; close: () => Promise<void> }> {
    const context = await this.connection.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light" });
    const page = await context.newPage();
    const wrong: string[] = [];
    page.on("console", (message) => /error|warning/.test(message.type()) && wrong.push(message.text()));
    page.on("pageerror", (error) => wrong.push(String(error)));
    page.on("dialog", (dialog) => {
      wrong.push(`dialog: ${dialog.message()}`);
      return dialog.dismiss();
    });
    page.on("request", (request) => !/^(file|data|blob):/.test(request.url()) && wrong.push(`request: ${request.url()}`));
    await page.goto(`file://${path}${hash}`);
    return { page, wrong, close: () => context.close() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    await this.connection.close();
    if (this.child.exitCode === null) {
      this.child.kill("SIGTERM");
      await ended;
    }
    this.folder[Symbol.dispose]();
  }
}
