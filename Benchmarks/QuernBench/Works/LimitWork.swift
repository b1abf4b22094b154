// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage

/// What this machine does at most, by itself: the scale on which other figures are read.
enum LimitWork: String, CaseIterable, Work {
    case memcpy
    case readSequential = "read-sequential"
    case writeSequential = "write-sequential"
    case fdatasync
    case compress = "lz4-compress"
    case decompress = "lz4-decompress"
    case rows = "rows-raw"

    var names: [String] { [rawValue] }

    func run(_ bench: Bench) async throws {
        var table = SampleTable()
        // The bytes that other works give to engines.
        let values = ChildSet(.counters, count: 238_000, perParent: 238_000).allValues
        for _ in 0..<bench.rounds {
            let (metric, value) = try measure(values)
            table.add(rawValue, Measurement.limit, metric, value, note: note)
        }
        try bench.results.add(table.sorted(names), title: "limits of this machine\n")
    }

    private var note: String {
        switch self {
        case .memcpy: "64 MiB from memory to memory"
        case .readSequential: "64 MiB from disk, a MiB a call"
        case .writeSequential: "64 MiB, a MiB a call, synced at the end"
        case .fdatasync: "one append of 4 KiB and its sync, the middle one of 200"
        case .compress, .decompress: "memos in blocks of 64 KiB; bytes before compression"
        case .rows: "24-byte memos in a mapped file added up"
        }
    }

    private func measure(_ values: [UInt8]) throws -> (Metric, Double) {
        let large = 64 << 20
        func rate(_ bytes: Int, _ duration: Duration) -> (Metric, Double) {
            (.bytesPerSecond, Double(bytes) / duration.inSeconds)
        }
        switch self {
        case .memcpy: return rate(large, MemoryCopy.durations(bytes: large, repetitions: 3).min() ?? .zero)
        case .readSequential: return rate(large, try RawFile.readCold(Self.noise))
        case .writeSequential: return rate(large, try RawFile.appendThenSync(Self.noise))
        case .fdatasync: return (.milliseconds, try SyncLatency.appends(200).median / 1000)
        case .compress: return rate(values.count, RawFile.compress(values).compress)
        case .decompress: return rate(values.count, RawFile.compress(values).decompress)
        case .rows:
            let duration = try RawFile.sumMapped(values, repetitions: 5).min() ?? .zero
            return (.nanosecondsPerChild, duration.inNanoseconds / 238_000)
        }
    }

    /// Bytes that no disk stores smaller.
    private static let noise: [UInt8] = {
        var random = SeededGenerator(seed: 1)
        return random.bytes(64 << 20)
    }()
}
