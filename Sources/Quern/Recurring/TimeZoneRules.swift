// SPDX-License-Identifier: Apache-2.0
public import QuernStore
public import SystemPackage

/// How far a place's clocks are from Greenwich, now and then: what recurring tasks need of a time zone.
///
/// Read from the system's time zone files (TZif, RFC 9636): Foundation has these too, but only with all of ICU.
public struct TimeZoneRules: Sendable, Equatable {
    /// The zone's name, such as `"Europe/Berlin"`.
    public let name: String
    /// When the offset changes, in seconds since the epoch, ascending.
    private let transitions: [Int64]
    /// The offset from each transition on, in seconds.
    private let offsets: [Int32]
    private let firstOffset: Int32
    /// What holds behind the last transition.
    private let footer: PosixTimeZone?

    /// Coordinated universal time; needs no file.
    public static let utc = TimeZoneRules(name: "UTC", transitions: [], offsets: [], firstOffset: 0, footer: nil)

    /// Seconds to add to the time at Greenwich.
    func offset(at seconds: Int64) -> Int {
        let index = transitions.partition { $0 > seconds }
        if index == transitions.count, let footer { return footer.offset(at: seconds) }
        return Int(index == 0 ? firstOffset : offsets[index - 1])
    }

    /// When the clocks show a time, given in seconds as if it were the time at Greenwich. A time that comes twice: the
    /// first. A time that is left out: as much later as the clocks jump.
    func seconds(ofLocal local: Int64) -> Int64 {
        let before = Int64(offset(at: local - 86_400))
        let after = Int64(offset(at: local + 86_400))
        if Int64(offset(at: local - before)) == before { return local - before }
        if Int64(offset(at: local - after)) == after { return local - after }
        return local - before
    }
}

extension TimeZoneRules {
    /// The zone of a name as it stands in the system's database, such as `"Europe/Berlin"`.
    ///
    /// - Throws: ``SchedulerError`` with `unknownTimeZone` when there is no such file, or no usable one; with a cause
    ///   that `isTransient` when there is no descriptor to read it with.
    /// - Complexity: reads a file of a few kilobytes; blocking.
    public init(
        named name: String, in directory: FilePath = "/usr/share/zoneinfo",
        fileSystem: any FileSystem = PosixFileSystem()
    ) throws(SchedulerError) {
        if name == "UTC" {
            self = .utc
            return
        }
        func unknown(_ why: String) -> SchedulerError {
            SchedulerError(.unknownTimeZone, "there is no time zone \"\(name.prefix(80))\": \(why)")
        }
        let path = FilePath(name)
        // A name must not lead out of the directory.
        guard path.isRelative, !path.isEmpty, path.isLexicallyNormal,
            path.components.allSatisfy({ $0.kind == .regular }), !name.utf8.contains(0)
        else { throw unknown("that is no name") }
        do {
            let file = try fileSystem.open(directory.appending(path.components), .readOnly)
            let size = try file.size()
            guard size <= 1 << 20 else { throw unknown("its file has \(size) bytes") }
            var bytes = [UInt8](repeating: 0, count: size)
            let count = try bytes.withUnsafeMutableBytes { buffer in try file.read(into: buffer, at: 0) }
            try self.init(name: name, bytes: Array(bytes.prefix(count)))
        } catch {
            let cause = (error as? FileError).map { StoreError("a time zone cannot be read", $0) }
            if let cause, cause.isTransient {
                throw SchedulerError(.store, "time zone \"\(name)\" cannot be read for the moment", cause: cause)
            }
            throw unknown("\(error)")
        }
    }

    init(name: String, bytes: [UInt8]) throws(TimeZoneFileError) {
        var reader = TimeZoneFile(bytes)
        // The first block has 32-bit times for old readers; the second has what counts.
        var block = try reader.header()
        if block.version >= 2 {
            try reader.skip(block.size(timeSize: 4))
            block = try reader.header()
        }
        let timeSize = block.version >= 2 ? 8 : 4
        let times = try reader.times(block.timeCount, size: timeSize)
        let indexes = try reader.take(block.timeCount)
        var types: [Int32] = []
        for _ in 0..<block.typeCount {
            types.append(try reader.bigEndian32())
            try reader.skip(2)
        }
        guard let first = types.first, indexes.allSatisfy({ Int($0) < types.count }),
            zip(times, times.dropFirst()).allSatisfy(<), types.allSatisfy({ abs(Int($0)) < 26 * 3600 })
        else { throw TimeZoneFileError("its transitions make no sense") }
        try reader.skip(block.sizeBehindTypes(timeSize: timeSize))
        self.init(
            name: name, transitions: times, offsets: indexes.map { types[Int($0)] }, firstOffset: first,
            footer: block.version >= 2 ? try PosixTimeZone(parsing: reader.footer()) : nil)
    }
}
