// SPDX-License-Identifier: Apache-2.0
import SystemPackage

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The line on standard error that says how far long work is, a few times a second: done, rate, and how long the rest
/// will take. Nothing when standard error is no terminal, unless it was asked for.
struct ProgressLine: Sendable {
    enum Unit: Sendable {
        case bytes
        /// By their name: "children".
        case items(String)
    }

    private static let interval = Duration.milliseconds(200)

    private let label: String
    private let unit: Unit
    /// Nil when it is not known.
    var total: UInt64?
    private let isShown: Bool
    private let isTerminal: Bool
    private let started: ContinuousClock.Instant
    private var next: ContinuousClock.Instant

    init(_ label: String, _ unit: Unit, of total: UInt64? = nil, isWanted: Bool = false) {
        self.label = label
        self.unit = unit
        self.total = total
        isTerminal = isatty(STDERR_FILENO) == 1
        isShown = isTerminal || isWanted
        started = ContinuousClock.now
        // Short work shows none.
        next = started + Self.interval
    }

    /// Shows how far `work` is, and erases the line before anything else is printed.
    static func showing<Value>(
        _ label: String, _ unit: Unit, _ options: ProgressOptions,
        _ work: (_ progress: @escaping (_ done: UInt64, _ total: UInt64?) -> Void) throws -> Value
    ) rethrows -> Value {
        var line = ProgressLine(label, unit, isWanted: options.progress)
        defer { line.finish() }
        return try work { done, total in
            line.total = total
            line.update(done)
        }
    }

    /// Cheap when it is called often, though not for each of millions of children.
    mutating func update(_ done: UInt64) {
        guard isShown else { return }
        let now = ContinuousClock.now
        guard now >= next else { return }
        next = now + (isTerminal ? Self.interval : .seconds(1))
        let text = Self.text(label, done: done, of: total, unit, after: now - started)
        write(isTerminal ? "\r\u{1B}[K" + text : text + "\n")
    }

    /// Erases the line.
    func finish() { if isShown, isTerminal { write("\r\u{1B}[K") } }

    private func write(_ text: String) { _ = try? FileDescriptor.standardError.writeAll(text.utf8) }

    static func text(_ label: String, done: UInt64, of total: UInt64?, _ unit: Unit, after elapsed: Duration) -> String
    {
        let seconds = max(elapsed / .seconds(1), 0.001)
        let rate = Double(done) / seconds
        func amount(_ value: UInt64) -> String {
            switch unit {
            case .bytes: Numbers.bytes(value)
            case .items: Numbers.grouped(value)
            }
        }
        var text = "\(label): \(amount(done))"
        if let total { text += " of \(amount(total))" }
        if case .items(let name) = unit { text += " \(name)" }
        text += ", \(amount(UInt64(rate)))/s"
        guard let total, total > done, rate > 0 else { return text }
        let left = min(Double(total - done) / rate, 1e9)
        return text + ", \(Numbers.duration(milliseconds: Int64(left) * 1000)) left"
    }
}
