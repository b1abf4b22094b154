// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Attributes that are not in the form that this version knows.
struct AttributeError: Error, Equatable, CustomStringConvertible {
    var description: String
}

extension TaskAttributes {
    /// Reads what ``encoded()`` wrote. Never traps, whatever the bytes are.
    init(decoding bytes: [UInt8]) throws(AttributeError) {
        self.init()
        var reader = AttributeReader(bytes[...])
        var last: UInt64 = 0
        while !reader.isAtEnd {
            let tag = try reader.variable()
            guard tag > last else { throw AttributeError(description: "tag \(tag) behind \(last)") }
            last = tag
            var value = AttributeReader(try reader.bytes())
            let isKnown = try decode(tag, &value)
            guard isKnown || tag & 1 == 1 else { throw AttributeError(description: "unknown tag \(tag)") }
            if isKnown, !value.isAtEnd { throw AttributeError(description: "tag \(tag) is too long") }
        }
    }

    private mutating func decode(_ tag: UInt64, _ value: inout AttributeReader) throws(AttributeError) -> Bool {
        switch tag {
        case Tag.tags: try decodeTags(&value)
        case Tag.group: group = try Self.name(value.rest())
        case Tag.traceContext:
            while !value.isAtEnd {
                traceContext.append(TraceField(name: try value.text(), value: try value.text()))
            }
        case Tag.notBefore: start = .at(Timestamp(milliseconds: Int64(bitPattern: try value.littleEndian())))
        case Tag.scheduledFor:
            scheduledFor = Timestamp(milliseconds: Int64(bitPattern: try value.littleEndian()))
        case Tag.delay:
            guard start == nil else { throw AttributeError(description: "two times to start") }
            start = .after(try value.milliseconds())
        case Tag.expectedIO:
            expectedIO = IOEstimate(readBytes: try value.variable(), writeBytes: try value.variable())
        case Tag.timeToLive:
            guard let basis = TimeToLive.Basis(rawValue: try value.byte()) else {
                throw AttributeError(description: "unknown basis of a time to live")
            }
            timeToLive = TimeToLive(try value.milliseconds(), from: basis)
        case Tag.dependencies:
            try decodePolicies(try value.byte())
            repeat {
                let task = TaskID(try value.variable())
                dependencies.append(TaskDependency(task, parent: TaskID(try value.variable())))
            } while !value.isAtEnd
        case Tag.redrives:
            let task = TaskID(try value.variable())
            let parent = TaskID(try value.variable())
            redrives = RedrivenTask(task: task, parent: parent, sequence: try value.variable())
        case Tag.kept:
            kept = try value.variable()
            guard kept <= Limits.number else { throw AttributeError(description: "more children than there can be") }
        case Tag.retry: retry = try RetryPolicy(decoding: &value)
        case Tag.backward:
            let before = self
            try decodePolicies(try value.byte())
            guard dependencies.isEmpty || hasPolicies(of: before) else {
                throw AttributeError(description: "two policies for dependencies")
            }
            repeat { backward.append(try value.variable()) } while !value.isAtEnd
        default: return false
        }
        return true
    }

    private mutating func decodePolicies(_ byte: UInt8) throws(AttributeError) {
        let cancel = byte >> 4 == 0 ? nil : DependencyPolicy(rawValue: byte >> 4)
        guard let failure = DependencyPolicy(rawValue: byte & 15), cancel != failure, byte >> 4 == 0 || cancel != nil
        else { throw AttributeError(description: "unknown policies for dependencies") }
        onDependencyFailure = failure
        onDependencyCancel = cancel
    }

    private func hasPolicies(of other: TaskAttributes) -> Bool {
        onDependencyFailure == other.onDependencyFailure && onDependencyCancel == other.onDependencyCancel
    }

    private mutating func decodeTags(_ value: inout AttributeReader) throws(AttributeError) {
        repeat {
            let tag = try Self.name(try value.text())
            if let last = tags.last, !last.utf8.lexicographicallyPrecedes(tag.utf8) {
                throw AttributeError(description: "tags out of order")
            }
            tags.append(tag)
        } while !value.isAtEnd
    }

    private static func name(_ text: String) throws(AttributeError) -> String {
        guard isName(text) else { throw AttributeError(description: "a name of \(text.utf8.count) bytes") }
        return text
    }
}

extension RetryPolicy {
    fileprivate init(decoding value: inout AttributeReader) throws(AttributeError) {
        let attempts = try value.variable()
        let firstDelay = try value.variable()
        let cap = try value.variable()
        let jitter = Double(bitPattern: try value.littleEndian())
        let kind = try value.byte()
        let factor = Double(bitPattern: try value.littleEndian())
        let longest = UInt64(Self.longestDelay.components.seconds) * 1_000_000_000
        guard (1...UInt64(UInt32.max)).contains(attempts), firstDelay <= longest, cap <= longest,
            (0...1).contains(jitter), factor.isFinite, factor >= 1
        else { throw AttributeError(description: "a retry policy out of range") }
        let growth: Growth
        switch kind {
        case 1: growth = .constant
        case 2: growth = .linear
        case 3: growth = .exponential(factor: factor)
        default: throw AttributeError(description: "unknown growth of a retry policy")
        }
        self.init(
            attempts: UInt32(attempts), firstDelay: .nanoseconds(Int64(firstDelay)), cap: .nanoseconds(Int64(cap)),
            jitter: jitter, growth: growth)
    }
}

/// Reads bytes, and throws where it would pass their end.
private struct AttributeReader {
    private var left: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { left = bytes }

    var isAtEnd: Bool { left.isEmpty }

    mutating func byte() throws(AttributeError) -> UInt8 {
        guard let first = left.popFirst() else { throw AttributeError(description: "ends early") }
        return first
    }

    mutating func variable() throws(AttributeError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            let next = try byte()
            guard shift < 63 || next <= 1 else { break }
            value |= UInt64(next & 0x7F) << shift
            if next & 0x80 == 0 {
                guard next != 0 || shift == 0 else { throw AttributeError(description: "a number longer than needed") }
                return value
            }
        }
        throw AttributeError(description: "a number too large")
    }

    mutating func littleEndian() throws(AttributeError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 8) { value |= UInt64(try byte()) << shift }
        return value
    }

    /// So many bytes as the number says that comes first.
    mutating func bytes() throws(AttributeError) -> ArraySlice<UInt8> {
        let count = try variable()
        guard count <= UInt64(left.count) else { throw AttributeError(description: "ends early") }
        defer { left = left.dropFirst(Int(count)) }
        return left.prefix(Int(count))
    }

    mutating func text() throws(AttributeError) -> String { try Self.text(try bytes()) }

    /// All that is left.
    mutating func rest() throws(AttributeError) -> String {
        defer { left = [] }
        return try Self.text(left)
    }

    private static func text(_ bytes: ArraySlice<UInt8>) throws(AttributeError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw AttributeError(description: "a text that is not UTF-8")
        }
        return text
    }

    mutating func milliseconds() throws(AttributeError) -> Duration {
        let count = try variable()
        guard count <= Duration.century.wholeMilliseconds else { throw AttributeError(description: "too long a time") }
        return .milliseconds(Int64(count))
    }
}
