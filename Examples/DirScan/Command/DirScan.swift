// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import DirScanKit
import Quern

/// `dirscan`: one orchestrator, a child a directory.
@main
struct DirScan: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dirscan",
        abstract: "Scans a directory tree and says what is new, unchanged and gone since the last scan.",
        discussion: """
            Each directory is a durable task. Killed at any moment and started again, dirscan goes on where it was and \
            comes to the same totals; when no scan is unfinished it starts a new one. Symbolic links are not followed.

            Exit status: 0 when all directories were listed, 3 when some could not be, 64 for a wrong call, \
            74 when the store cannot be used, 130 when interrupted.
            """)

    @Argument(help: "The directory to scan.")
    var path: String

    @Option(help: "Where scans are kept. By default a folder for this tree under ~/.cache/dirscan.")
    var store: String?

    @Option(help: "How many directories are listed at a time.")
    var concurrency: Int = 4

    @Flag(help: "Print one line of JSON.")
    var json = false

    @Flag(inversion: .prefixedNo, help: "Show progress, when standard error is a terminal.")
    var progress = true

    @Flag(help: "Leave out directories on other file systems.")
    var oneFileSystem = false

    func validate() throws {
        guard (1...1024).contains(concurrency) else { throw ValidationError("--concurrency takes 1 to 1024") }
    }

    func run() async throws {
        Console.reserveStandardStreams()
        do {
            let failed = try await scan()
            if failed > 0 { throw ExitCode(3) }
        } catch let code as ExitCode {
            throw code
        } catch is CancellationError {
            Console.error("dirscan: interrupted; start it again to go on")
            throw ExitCode(130)
        } catch {
            let error = CommandError(describing: error)
            Console.error("dirscan: \(error.message)")
            throw ExitCode(error.status.rawValue)
        }
    }

    /// - Returns: how many directories failed.
    private func scan() async throws -> UInt64 {
        let started = ContinuousClock.now
        let root = try resolvedRoot()
        let place = try StorePlace(try store.map(CommandArguments.path), for: root)
        let run = ScanRun(
            scan: CatalogScan(root: root, oneFileSystem: oneFileSystem), place: place, concurrency: concurrency,
            showsProgress: progress && Console.errorIsTerminal)
        let result = try await run.perform()
        var report = ScanReport(result.totals)
        report.resumed = result.resumed
        report.duration = ContinuousClock.now - started
        report.peakResidentBytes = Console.peakResidentBytes
        try Console.output(json ? report.json : report.text(root: root))
        result.pending.forget()
        if result.totals.unremembered > 0 {
            let count = result.totals.unremembered
            Console.error("dirscan: \(count) entries of very large directories count as discovered in every scan")
        }
        return result.totals.failed
    }

    private func resolvedRoot() throws(CommandError) -> PathBytes {
        let path = try CommandArguments.path(path)
        do throws(ListingError) {
            let root = try ScanRoot.resolve(path)
            // Before anything is submitted: a scan of no directory could never end.
            _ = try ScanRoot(root)
            return root
        } catch {
            throw CommandError(.usage, "\(error)")
        }
    }
}
