// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// What a command prints: gathered, and written in large pieces. Results go to standard output, what goes wrong to
/// standard error. Tests capture both.
struct Output {
    private enum Target {
        case descriptor(FileDescriptor)
        case memory
    }

    private static let pieceBytes = 64 << 10

    /// What is about to be written. Loops that print millions of lines append to it, and call ``endLine()``.
    var buffer = TextBuffer()
    let style: Style
    private let target: Target
    /// What was told on standard error, when it is captured.
    private(set) var warnings: [String] = []

    /// To the process' own streams.
    static func standard() -> Output { Output(target: .descriptor(.standardOutput), style: .ofStandardOutput) }

    /// To another file than standard output.
    static func writing(to descriptor: FileDescriptor) -> Output {
        Output(target: .descriptor(descriptor), style: .plain)
    }

    /// To memory: see ``text`` and ``warnings``.
    static func captured(style: Style = .plain) -> Output { Output(target: .memory, style: style) }

    private init(target: Target, style: Style) {
        self.target = target
        self.style = style
    }

    /// What was printed, when it is captured.
    var text: String { buffer.text }

    /// - Throws: ``OutputFailure`` also for what was printed before: it is written now.
    mutating func line(_ text: String = "") throws(OutputFailure) {
        buffer.append(text: text)
        try endLine()
    }

    /// A JSON object on a line.
    mutating func json(_ fields: (inout JSONLine) -> Void) throws(OutputFailure) {
        buffer.append(0x7B)
        // The buffer changes hands; a second reference to it would have it copied for each line.
        var line = JSONLine()
        swap(&line.buffer, &buffer)
        fields(&line)
        swap(&line.buffer, &buffer)
        buffer.append(0x7D)
        try endLine()
    }

    mutating func endLine() throws(OutputFailure) {
        buffer.append(0x0A)
        if buffer.count >= Self.pieceBytes { try flush() }
    }

    /// Writes all that was printed. To be called at the end.
    mutating func flush() throws(OutputFailure) {
        guard case .descriptor(let descriptor) = target, buffer.count > 0 else { return }
        defer { buffer.removeAll() }
        try buffer.withBytes { (bytes) throws(OutputFailure) in
            do { _ = try descriptor.writeAll(bytes) } catch let error as Errno {
                throw error == .brokenPipe ? .closed : .failed(error)
            } catch { throw .closed }
        }
    }

    /// A line on standard error, with the command's name in front.
    mutating func warn(_ text: String) {
        guard case .descriptor = target else { return warnings.append(text) }
        // What was printed before is to be seen before.
        try? flush()
        Self.error("quern: \(text)")
    }

    /// A line on standard error.
    static func error(_ text: String) { _ = try? FileDescriptor.standardError.writeAll((text + "\n").utf8) }
}

/// Why nothing more can be printed.
enum OutputFailure: Error, Equatable {
    /// Whoever read it has read enough: `| head`. No error of ours.
    case closed
    case failed(Errno)
}
