// SPDX-License-Identifier: Apache-2.0
import QuernStore
import SystemPackage

/// What a command prints: gathered, and written in large pieces. Results go to standard output, what goes wrong to
/// standard error. Tests capture both.
struct Output {
    private enum Target {
        case descriptor(FileDescriptor)
        case file(any StoreFile)
        case memory
    }

    private static let pieceBytes = 64 << 10

    /// What is about to be written. Loops that print millions of lines append to it, and call ``endLine()``.
    var buffer = TextBuffer()
    let style: Style
    private let target: Target
    /// Bytes that are written.
    private var written = 0
    /// How the command is to end, as far as is known: also when whoever reads the output has read enough.
    private(set) var status = ExitStatus.fine
    /// What was told on standard error, when it is captured.
    private(set) var warnings: [String] = []

    /// To the process' own streams.
    static func standard() -> Output { Output(target: .descriptor(.standardOutput), style: .ofStandardOutput) }

    /// To a new file, from its beginning on.
    static func writing(to file: any StoreFile) -> Output { Output(target: .file(file), style: .plain) }

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
        if case .memory = target { return }
        guard buffer.count > 0 else { return }
        defer {
            written += buffer.count
            buffer.removeAll()
        }
        let (target, written) = (target, written)
        try buffer.withBytes { (bytes) throws(OutputFailure) in
            switch target {
            case .descriptor(let descriptor):
                do { _ = try descriptor.writeAll(bytes) } catch let error as Errno {
                    throw error == .brokenPipe ? .closed : .failed(error)
                } catch { throw .closed }
            case .file(let file):
                do throws(FileError) { try file.write(bytes, at: written) } catch { throw .failed(error.errno) }
            case .memory: break
            }
        }
    }

    /// A line on standard error, with the command's name in front.
    mutating func warn(_ text: String) {
        if case .memory = target { return warnings.append(text) }
        // What was printed before is to be seen before.
        try? flush()
        Self.error("quern: \(text)")
    }

    /// A line on standard error about something that is damaged, missing or not found.
    mutating func finding(_ text: String) {
        noteFinding()
        warn(text)
    }

    /// Something is damaged, missing or not found, of which a result tells. To be called before that is printed, which
    /// may fail: the exit status tells it all the same.
    mutating func noteFinding() { status = .findings }

    /// A line on standard error.
    static func error(_ text: String) { _ = try? FileDescriptor.standardError.writeAll((text + "\n").utf8) }
}

/// Why nothing more can be printed.
enum OutputFailure: Error, Equatable {
    /// Whoever read it has read enough: `| head`. No error of ours.
    case closed
    case failed(Errno)
}
