// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import SystemPackage

/// A sub-command: it prints into an ``Output`` that tests can capture, and says how the process is to end.
protocol ToolCommand: ParsableCommand {
    /// Prints, and tells the output of what it finds; see ``Output/finding(_:)``.
    ///
    /// - Throws: ``ToolError``, `StoreError`, ``OutputFailure``; see ``perform(into:)``.
    func run(into output: inout Output) throws

    /// Whether it looks for an interruption and removes what it made; others end at once.
    var cleansUp: Bool { get }
}

extension ToolCommand {
    var cleansUp: Bool { false }

    func run() throws {
        if cleansUp { Interruption.watch() }
        var output = Output.standard()
        let status = perform(into: &output)
        if status != .fine { throw ExitCode(status.rawValue) }
    }

    /// Runs it, and makes a message and a status of what it throws.
    func perform(into output: inout Output) -> ExitStatus {
        do {
            try run(into: &output)
            try output.flush()
            return output.status
        } catch  where Interruption.isRequested {
            // Whatever it was at.
            output.warn(Interruption.error.description)
            return Interruption.error.status
        } catch OutputFailure.closed {
            return output.status
        } catch OutputFailure.failed(let error) {
            output.warn("cannot write: \(error)")
            return .unreadable
        } catch let error as ToolError {
            output.warn(Printable.text(error.description))
            return error.status
        } catch {
            // Paths may have any character.
            output.warn(Printable.text("\(error)"))
            return .unreadable
        }
    }
}

/// The store that a command is about.
struct StoreArgument: ParsableArguments {
    @Argument(help: "The store's directory.", completion: .directory)
    var store: String

    var path: FilePath { FilePath(store) }

    /// Reads it, and tells of damage that was met. A store in use is not disturbed.
    func read(_ output: inout Output) throws -> OfflineStore {
        let store = try OfflineStore.read(at: path)
        for finding in store.findings where finding.severity >= .spared { output.finding(finding.line) }
        return store
    }
}

/// How results are printed.
struct FormatOptions: ParsableArguments {
    @Flag(help: "Print a line of JSON for each record.")
    var json = false
}

/// How long work tells how far it is.
struct ProgressOptions: ParsableArguments {
    @Flag(help: "Show progress also when standard error is no terminal.")
    var progress = false
}

extension StoreFinding {
    /// For standard error.
    var line: String {
        let place = offset.map { "\(file) at \($0)" } ?? file
        return Printable.text((place.isEmpty ? "" : place + ": ") + "\(what): \(consequence)")
    }
}

extension OfflineStore {
    /// Damage that was met and cost nothing.
    var spared: [StoreFinding] { findings.filter { $0.severity == .spared } }
    var isDamaged: Bool { findings.contains { $0.severity == .damage } }
}

extension TaskID: ExpressibleByArgument {
    public init?(argument: String) {
        guard let value = UInt64(argument) else { return nil }
        self.init(value)
    }
}
